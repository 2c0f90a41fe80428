import Foundation
import NapKernels
import Testing

/// Serial: the number is the process's.
@Suite(.serialized) struct ThreadsTests {
  /// OpenMP keeps it by thread; what is asked for holds on all of them.
  @Test func theNumberHoldsOnEveryThread() {
    let before = Threads.count
    defer { Threads.use(before) }
    for count in [1, 3, 2] {
      Threads.use(count)
      #expect(Threads.count == count)
      let elsewhere = Counts()
      let thread = Thread {
        elsewhere.count = Threads.count
        let lock = NSLock()
        parallel { _, parts in lock.withLock { elsewhere.parts = parts } }
        elsewhere.isDone.signal()
      }
      thread.start()
      elsewhere.isDone.wait()
      #expect(elsewhere.count == count && elsewhere.parts == count)
    }
  }

  private final class Counts: @unchecked Sendable {
    var (count, parts) = (0, 0)
    let isDone = DispatchSemaphore(value: 0)
  }

  /// Kernels that are chosen anew compute what sums written out say, and twice is as well as once.
  @Test func linearAlgebraChoosesKernelsAnew() {
    OpenBLAS.chooseKernels()
    OpenBLAS.chooseKernels()
    var sums = [Float](repeating: 0, count: 4)
    multiply([1, 2, 3, 4, 5, 6], [1, 0, 0, 1, 1, 1], into: &sums, m: 2, n: 2, k: 3)
    #expect(sums == [4, 5, 10, 11])
  }
}
