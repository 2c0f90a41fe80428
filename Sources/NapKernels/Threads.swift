internal import CNapDNN
internal import Foundation
internal import NapTensor

/// The threads that kernels compute with.
package enum Threads {
  /// How many are taken where nobody asks for a number, and what that goes by: `OMP_NUM_THREADS`, else what
  /// the process may use.
  package static var standard: (count: Int, reason: String) {
    let text = ProcessInfo.processInfo.environment["OMP_NUM_THREADS"] ?? ""
    if let count = text.split(separator: ",").first.flatMap({ Int($0) }), count > 0 {
      return (count, "OMP_NUM_THREADS")
    }
    let allowed = Processors.allowed()
    return (allowed.count, allowed.of)
  }

  /// Sets how many kernels and linear algebra use from now on, wherever they are called.
  package static func use(_ count: Int) {
    nap_use_threads(Int32(count))
    setLinearAlgebraThreads(count)
  }

  /// How many kernels use.
  package static var count: Int { Int(nap_max_threads()) }

  /// Whether there is a pool to share with oneDNN; without, much is done by one thread.
  package static var canBeMany: Bool { nap_has_threads() != 0 }
}
