import Foundation

/// The one place that knows how much memory there is, and refuses what asks for more.
///
/// Swift cannot go on where memory is refused: what takes its size from a file or an option asks here
/// before it takes any.
package enum Memory {
  /// Bytes that can still be taken: the least of what the machine, the control groups of the process and
  /// its limits (`ulimit -v`, `-d`) leave; `nil` where nothing tells, as on macOS.
  ///
  /// - Parameter root: the folder that stands for `/`.
  package static func available(in root: String = "") -> Int? { least(in: root)?.left }

  /// What can still be taken, and of what it is the rest.
  package static func least(in root: String = "") -> (left: Int, of: String)? {
    SystemFiles(root: root).memory.min { $0.left < $1.left }
      .map { (max(0, $0.left - reserve), $0.of) }
  }

  /// For libraries, threads and what is too small to ask.
  private static let reserve = 64 << 20

  /// Needs below are not worth a look at the system.
  private static let small = 1 << 20

  /// Refuses what there is no memory for.
  ///
  /// - Parameters:
  ///   - bytes: that are about to be taken; `nil` for more than can be counted.
  ///   - what: a noun, such as `a batch of 40000`.
  ///   - recovery: what needs less.
  /// - Throws: with both numbers.
  package static func check(_ bytes: Int?, for what: String, recovery: String? = nil)
    throws(MemoryError)
  {
    if let bytes, bytes < small { return }
    guard let free = available() else { return }
    if let bytes, bytes <= free { return }
    let need = bytes.map { "about \(text($0))" } ?? "more than any machine has"
    throw MemoryError(
      problem: "\(what) needs \(need) of memory, but \(text(free)) are free",
      recovery: recovery ?? "give it more memory (the machine, its container, ulimit -v)")
  }

  /// Such as `1.5 GiB`.
  package static func text(_ bytes: Int) -> String {
    bytes < 1 << 30
      ? "\(bytes >> 20) MiB" : String(format: "%.1f GiB", Double(bytes) / 0x1p30)
  }

  /// Ends the process: the last resort where memory is refused that nobody has asked for.
  package static func exhausted(_ bytes: Int) -> Never {
    let line = "nap: out of memory: \(text(bytes)) were refused\n"
    FileHandle.standardError.write(Data(line.utf8))
    exit(1)
  }
}

/// What would take more memory than there is.
package struct MemoryError: NapError, Equatable {
  package let problem: String
  package let recovery: String?
}

extension Sequence<Int> {
  /// The product of sizes, no more than 2^56: sums of such numbers can be counted.
  package var boundedProduct: Int {
    reduce(1) { product, size in
      let (next, overflow) = product.multipliedReportingOverflow(by: size)
      return overflow ? 1 << 56 : Swift.min(next, 1 << 56)
    }
  }
}

extension [Int] {
  /// The number of elements of a tensor of this shape; `nil` when a size is negative or the number so
  /// large that no memory holds it.
  ///
  /// Sums and small multiples of such numbers can be counted safely. A size of 0 does not make up for
  /// others that are too large: the product of any of the sizes is safe too.
  package var elementCount: Int? {
    var count = 1
    for size in self {
      let (next, overflow) = count.multipliedReportingOverflow(by: Swift.max(size, 1))
      guard size >= 0, !overflow, next <= 1 << 40 else { return nil }
      count = next
    }
    return contains(0) ? 0 : count
  }
}

/// What the system says of memory, in bytes.
extension SystemFiles {
  fileprivate typealias Room = (left: Int, of: String)

  fileprivate var memory: [Room] { [ofMachine].compactMap { $0 } + ofLimits + ofControlGroups }

  private var ofMachine: Room? {
    number("MemAvailable", in: "/proc/meminfo").map { (1024 * $0, "the machine") }
  }

  /// Of addresses and of data.
  private var ofLimits: [Room] {
    let limits = [
      ("Max address space", "VmSize", "ulimit -v"), ("Max data size", "VmData", "ulimit -d"),
    ]
    return limits.compactMap { limit, used, name in
      guard let limit = number(limit, in: "/proc/self/limits"),
        let used = number(used, in: "/proc/self/status")
      else { return nil }
      return (limit - 1024 * used, name)
    }
  }

  private var ofControlGroups: [Room] {
    controlGroups(of: "memory").compactMap { group in
      let left =
        group.version == 2
        ? left(of: group.path, "memory.max", "memory.current", "inactive_file")
        : left(
          of: group.path, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
      return left.map { ($0, "control group '\(group.path)'") }
    }
  }

  /// What a group may still take; files that it holds in memory and does not use are given up first.
  private func left(of group: String, _ limit: String, _ used: String, _ givenUp: String) -> Int? {
    guard let limit = number("\(group)/\(limit)"), let used = number("\(group)/\(used)") else {
      return nil
    }
    return limit - used + (number(givenUp, in: "\(group)/memory.stat") ?? 0)
  }
}
