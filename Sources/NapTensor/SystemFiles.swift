import Foundation

/// What the files of a Linux system say of the process and of what limits it.
///
/// Elsewhere there are none, and nothing is said.
struct SystemFiles {
  /// The folder that stands for `/`.
  let root: String

  func text(_ path: String) -> String? {
    try? String(contentsOfFile: root + path, encoding: .utf8)
  }

  func number(_ path: String) -> Int? {
    text(path).flatMap { Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }
  }

  /// What is behind a key, such as `MemAvailable:`, on the first line that begins with it.
  func text(_ key: String, in path: String) -> Substring? {
    text(path)?.split(separator: "\n").lazy.compactMap { line in
      let rest = line.dropFirst(key.count)
      guard line.hasPrefix(key), let next = rest.first, next == ":" || next.isWhitespace else {
        return nil
      }
      return rest.drop { $0 == ":" || $0.isWhitespace }
    }.first
  }

  /// The first number behind a key.
  func number(_ key: String, in path: String) -> Int? {
    text(key, in: path)?.split(whereSeparator: \.isWhitespace).first.flatMap { Int($0) }
  }

  /// A folder of a control group's, and in which version it is written.
  struct ControlGroup {
    let path: String
    let version: Int
  }

  /// The process's own group and all above it, in both versions, for what a controller limits.
  func controlGroups(of controller: String) -> [ControlGroup] {
    (text("/proc/self/cgroup") ?? "").split(separator: "\n").flatMap { line -> [ControlGroup] in
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
      guard fields.count == 3 else { return [] }
      let version: Int
      let top: String
      if fields[1].isEmpty {
        (version, top) = (2, "/sys/fs/cgroup")
      } else if fields[1].split(separator: ",").contains(Substring(controller)) {
        (version, top) = (1, "/sys/fs/cgroup/\(controller)")
      } else {
        return []
      }
      // In a container the path may be the machine's: then the files are those of the top.
      var path = String(fields[2])
      var found: [ControlGroup] = []
      while true {
        let group = path == "/" ? "" : path
        found.append(ControlGroup(path: top + group, version: version))
        if group.isEmpty { return found }
        path = FilePath(path).folder
      }
    }
  }
}
