import Foundation

/// How many processors this process may use, and who says so.
package enum Processors {
  package struct Limit: Equatable {
    package let count: Int
    /// A noun, such as `the machine`.
    package let of: String
  }

  /// What they are called; `nil` where nothing tells.
  package static var model: String? {
    SystemFiles(root: "").text("model name", in: "/proc/cpuinfo").map {
      $0.split(separator: " ").joined(separator: " ")
    }
  }

  /// The least of the machine's processors, those that the process is allowed to run on (`taskset`), and the
  /// time that its control groups may take, in processors, rounded up.
  ///
  /// - Parameters:
  ///   - root: the folder that stands for `/`.
  ///   - machine: how many there are.
  package static func allowed(
    in root: String = "", machine: Int = ProcessInfo.processInfo.activeProcessorCount
  ) -> Limit {
    let files = SystemFiles(root: root)
    let limits =
      [Limit(count: machine, of: "the machine")] + [files.affinity].compactMap { $0 } + files.quotas
    return limits.reduce(limits[0]) { $1.count < $0.count ? $1 : $0 }
  }
}

extension SystemFiles {
  /// From a list such as `0-3,8`.
  fileprivate var affinity: Processors.Limit? {
    guard let list = text("Cpus_allowed_list", in: "/proc/self/status") else { return nil }
    var count = 0
    for range in list.split(separator: ",") {
      let ends = range.split(separator: "-").map {
        Int($0.trimmingCharacters(in: .whitespaces))
      }
      guard let first = ends.first ?? nil, let last = ends.last ?? nil, first <= last else {
        return nil
      }
      count += last - first + 1
    }
    return count > 0 ? Processors.Limit(count: count, of: "the process's affinity") : nil
  }

  fileprivate var quotas: [Processors.Limit] {
    controlGroups(of: "cpu").compactMap { group in
      let (quota, period) =
        group.version == 2
        ? written("\(group.path)/cpu.max")
        : (number("\(group.path)/cpu.cfs_quota_us"), number("\(group.path)/cpu.cfs_period_us"))
      // No quota is written as `max` or as -1.
      guard let quota, let period, quota > 0, period > 0 else { return nil }
      let processors = (Double(quota) / Double(period)).rounded(.up)
      return Processors.Limit(
        count: Int(processors.limited(to: 1...65_536)), of: "control group '\(group.path)'")
    }
  }

  /// Two numbers on a line.
  private func written(_ path: String) -> (Int?, Int?) {
    let numbers = (text(path) ?? "").split(whereSeparator: \.isWhitespace).map { Int($0) }
    return numbers.count == 2 ? (numbers[0], numbers[1]) : (nil, nil)
  }
}
