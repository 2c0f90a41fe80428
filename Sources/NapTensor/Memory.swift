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
  package static func available(in root: String = "") -> Int? {
    let files = SystemFiles(root: root)
    return ([files.ofMachine] + files.ofLimits + files.ofControlGroups).compactMap { $0 }.min()
      .map { max(0, $0 - reserve) }
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
package struct MemoryError: RecoverableError, Equatable {
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

/// What the files of a Linux system say of memory, in bytes.
private struct SystemFiles {
  let root: String

  private func text(_ path: String) -> String? {
    try? String(contentsOfFile: root + path, encoding: .utf8)
  }

  private func number(_ path: String) -> Int? {
    text(path).flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
  }

  /// The first number of the line with a key, such as `MemAvailable:`.
  private func number(_ key: String, in path: String) -> Int? {
    let line = text(path)?.split(separator: "\n").first {
      $0.hasPrefix(key + ":") || $0.hasPrefix(key + " ")
    }
    return line?.dropFirst(key.count + 1).split(whereSeparator: \.isWhitespace).first.flatMap {
      Int($0)
    }
  }

  var ofMachine: Int? { number("MemAvailable", in: "/proc/meminfo").map { 1024 * $0 } }

  /// Of addresses and of data.
  var ofLimits: [Int?] {
    [("Max address space", "VmSize"), ("Max data size", "VmData")].map { limit, used in
      guard let limit = number(limit, in: "/proc/self/limits"),
        let used = number(used, in: "/proc/self/status")
      else { return nil }
      return limit - 1024 * used
    }
  }

  /// Of the process's own group and all above it, in both versions.
  var ofControlGroups: [Int?] {
    (text("/proc/self/cgroup") ?? "").split(separator: "\n").flatMap { line -> [Int?] in
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { return [] }
      // In a container the path may be the machine's: then the files are those of the top.
      var path = String(fields[2])
      var found: [Int?] = []
      while true {
        let group = path == "/" ? "" : path
        if fields[1].isEmpty {
          found.append(
            left(of: "/sys/fs/cgroup\(group)", "memory.max", "memory.current", "inactive_file"))
        } else if fields[1].split(separator: ",").contains("memory") {
          found.append(
            left(
              of: "/sys/fs/cgroup/memory\(group)", "memory.limit_in_bytes",
              "memory.usage_in_bytes", "total_inactive_file"))
        }
        if group.isEmpty { return found }
        path = FilePath(path).folder
      }
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
