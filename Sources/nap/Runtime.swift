import Foundation

/// What must be settled before the numerical libraries are initialized.
enum Runtime {
  /// OpenBLAS chooses its kernels when it is loaded, and takes recent processors with AVX-512 for
  /// older ones without: it must be told by the environment, so the process starts itself again.
  static func prepareProcess() {
    #if os(Linux) && arch(x86_64)
      let variable = "OPENBLAS_CORETYPE"
      guard getenv(variable) == nil,
        let path = try? FileManager.default.destinationOfSymbolicLink(
          atPath: "/proc/self/exe"), processorHasAVX512()
      else { return }
      setenv(variable, "SKYLAKEX", 1)
      var arguments: [UnsafeMutablePointer<CChar>?] = CommandLine.arguments.map { strdup($0) }
      arguments.append(nil)
      // Returns only when it fails, and then the slower kernels do.
      execv(path, arguments)
    #endif
  }

  private static func processorHasAVX512() -> Bool {
    guard let file = FileHandle(forReadingAtPath: "/proc/cpuinfo"),
      let head = try? file.read(upToCount: 4096)
    else { return false }
    let flags = String(decoding: head, as: UTF8.self)
    return ["avx512f", "avx512dq", "avx512bw", "avx512vl"].allSatisfy(flags.contains)
  }
}
