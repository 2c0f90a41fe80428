import Foundation

/// Where a file is to be written, checked before the work that makes it.
///
/// A link is followed to what it points to. What is there already must be a regular file that nothing is read
/// from: files are compared by device and inode, so that other names of an input are inputs too.
package struct Destination: Sendable, Hashable {
  /// As the user gave it.
  package let path: String
  /// Where the bytes go.
  package let target: String

  /// - Parameters:
  ///   - inputs: files that are read, and folders with such files.
  ///   - bytes: about as many will be written.
  package init(_ path: String, besides inputs: [String] = [], bytes: Int = 0) throws(FileError) {
    self.path = path
    target = try Self.target(of: path)
    let name = FilePath(target).name
    guard name.utf8.count <= Self.longestName else {
      throw .unwritable(
        path: path, reason: "a name has \(Self.longestName) bytes at most, not \(name.utf8.count)")
    }
    let folder = FilePath(target).openableFolder
    guard access(folder, W_OK | X_OK) == 0 else {
      let reason =
        errno == EROFS
        ? "'\(folder)' is on a file system that is read-only"
        : "no permission to write to '\(folder)'"
      throw .unwritable(path: path, reason: reason)
    }
    if let input = inputs.first(where: { Self.isSame(target, $0) }) {
      throw .unwritable(
        path: path,
        reason: "it is the same file as '\(input)', which is read; give another name for the output"
      )
    }
    var disk = statvfs()
    if bytes > 0, statvfs(folder, &disk) == 0 {
      let (free, overflows) = UInt64(disk.f_bavail).multipliedReportingOverflow(
        by: UInt64(disk.f_frsize))
      if !overflows, free < UInt64(bytes) {
        throw .unwritable(
          path: path,
          reason: "about \(bytes >> 10) KiB will be needed, and \(free >> 10) KiB are free there")
      }
    }
  }

  /// Room for what hidden files of the same folder are called.
  private static let longestName = 200

  /// What a path stands for, links followed.
  ///
  /// - Throws: where something is there that is no regular file.
  package static func target(of path: String) throws(FileError) -> String {
    guard !path.isEmpty, !path.hasSuffix("/"), !path.utf8.contains(0), FilePath(path).name != "..",
      FilePath(path).name != "."
    else { throw .unwritable(path: path, reason: "it is not the name of a file") }
    var link = stat()
    if lstat(path, &link) != 0 {
      guard isFolder(FilePath(path).openableFolder) else {
        throw .unwritable(path: path, reason: "the folder does not exist")
      }
      return path
    }
    guard link.st_mode & S_IFMT == S_IFLNK else {
      try requireRegular(link, path)
      return path
    }
    guard let resolved = FilePath(path).resolved else {
      throw .unwritable(path: path, reason: "it is a link to nothing")
    }
    var status = stat()
    if stat(resolved, &status) == 0 { try requireRegular(status, path) }
    return resolved
  }

  private static func requireRegular(_ status: stat, _ path: String) throws(FileError) {
    switch status.st_mode & S_IFMT {
    case S_IFREG: break
    case S_IFDIR: throw .unwritable(path: path, reason: "it is a folder")
    default: throw .unwritable(path: path, reason: "it exists and is not a regular file")
    }
  }

  private static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Whether a file is another, or lies in a folder that it is.
  private static func isSame(_ path: String, _ input: String) -> Bool {
    var (a, b) = (stat(), stat())
    guard stat(path, &a) == 0, stat(input, &b) == 0 else { return false }
    if a.st_dev == b.st_dev, a.st_ino == b.st_ino { return true }
    return b.st_mode & S_IFMT == S_IFDIR && FilePath(path).isInside(input)
  }
}

// MARK: Several
extension Destination {
  /// Whether two paths are one place, links followed; where nothing is yet, by its folder and its name.
  package static func areOne(_ path: String, _ other: String) -> Bool {
    var (a, b) = (stat(), stat())
    if stat(path, &a) == 0, stat(other, &b) == 0 {
      return a.st_dev == b.st_dev && a.st_ino == b.st_ino
    }
    return place(path) == place(other)
  }

  private static func place(_ path: String) -> String {
    var text = path
    // Of a folder that is to be made.
    while text.utf8.count > 1, text.utf8.last == UInt8(ascii: "/") {
      text.unicodeScalars.removeLast()
    }
    let file = FilePath(text)
    if let there = file.resolved { return there }
    return FilePath.joined(FilePath(file.openableFolder).resolved ?? file.folder, file.name)
  }
}

// MARK: Afterwards
extension Destination {
  /// Writes, or writes elsewhere what took hours to make, where its place is gone by now.
  ///
  /// - Returns: where it is; what was wrong with the place that was meant, if it is elsewhere.
  package func deliver(_ write: (String) throws -> Void) throws -> (
    path: String, problem: (any Error)?
  ) {
    do {
      try write(path)
      return (path, nil)
    } catch {
      for other in alternatives {
        do {
          try write(other)
          return (other, error)
        } catch { continue }
      }
      throw error
    }
  }

  /// Other places, the nearest first; nothing is there.
  private var alternatives: [String] {
    let file = FilePath(path)
    let ending = file.ending.isEmpty ? "" : ".\(file.ending)"
    let folders = [file.folder, "", NSTemporaryDirectory()]
    let names = ["\(file.stem)-rescued\(ending)", "nap-rescued\(ending)"]
    return folders.flatMap { folder in names.compactMap { Self.vacant(FilePath.joined(folder, $0)) }
    }
  }

  /// The path, or one with a number, at which there is nothing.
  package static func vacant(_ path: String) -> String? {
    let file = FilePath(path)
    let ending = file.ending.isEmpty ? "" : ".\(file.ending)"
    for number in 1...100 {
      let candidate = number == 1 ? path : file.sibling("\(file.stem)-\(number)\(ending)")
      var status = stat()
      if lstat(candidate, &status) != 0, errno == ENOENT { return candidate }
    }
    return nil
  }
}
