import NapTensor

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Page-aligned memory that is freed once; zero when made.
package final class AlignedBuffer {
  package let address: UnsafeMutableRawPointer
  package let bytes: Int

  package init(bytes: Int) {
    self.bytes = bytes
    let pageSize = 2 << 20
    let rounded = max(64, bytes)
    var pointer: UnsafeMutableRawPointer?
    let status = posix_memalign(&pointer, rounded >= pageSize ? pageSize : 64, rounded)
    guard status == 0, let pointer else { Memory.exhausted(bytes) }
    #if os(Linux)
      // Huge pages: fewer address translations on the large arenas of a plan.
      if rounded >= pageSize { madvise(pointer, rounded, 14) }
    #endif
    memset(pointer, 0, rounded)
    address = pointer
  }

  deinit { free(address) }

  package var floats: UnsafeMutablePointer<Float> { address.assumingMemoryBound(to: Float.self) }
}
