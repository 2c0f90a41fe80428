package import Foundation

/// A file that appears under its name complete or not at all.
///
/// Bytes go to a file without a name, which gets one when it is committed. Where the file system has none
/// such, or the name is taken, a hidden file of the same folder stands in for it; those of processes that
/// were killed are removed.
package struct AtomicFile: ~Copyable {
  package let path: String
  private let target: FilePath
  /// The hidden file; empty while there is none.
  private var hidden: String
  private var descriptor: Int32

  package init(_ path: String) throws(FileError) {
    let target = FilePath(try Destination.target(of: path))
    var (hidden, opened) = ("", Self.openNameless(in: target.openableFolder))
    if opened < 0 {
      Self.removeAbandoned(target)
      var attempt = 0
      repeat {
        hidden = Self.hidden(target, attempt)
        opened = open(hidden, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        attempt += 1
      } while opened < 0 && errno == EEXIST && attempt < 100
    }
    guard opened >= 0 else { throw .unwritable(path: path, reason: systemError()) }
    (self.path, self.target, self.hidden, descriptor) = (path, target, hidden, opened)
  }

  private static func openNameless(in folder: String) -> Int32 {
    #if os(Linux)
      // O_TMPFILE, whose macro Swift does not import.
      let opened = open(folder, O_WRONLY | O_CLOEXEC | 0o20000000 | O_DIRECTORY, 0o666)
      // Without /proc it could never be given a name.
      guard opened >= 0, access("/proc/self/fd/\(opened)", F_OK) != 0 else { return opened }
      close(opened)
    #endif
    return -1
  }

  private static func hidden(_ target: FilePath, _ attempt: Int) -> String {
    target.sibling(".\(target.name).\(getpid()).\(attempt).tmp")
  }

  /// Removes what processes have left that are no more.
  private static func removeAbandoned(_ target: FilePath) {
    guard let folder = opendir(target.openableFolder) else { return }
    defer { closedir(folder) }
    let prefix = ".\(target.name)."
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard name.hasPrefix(prefix), name.hasSuffix(".tmp") else { continue }
      let numbers = name.dropFirst(prefix.count).dropLast(4).split(separator: ".")
      guard numbers.count == 2, let process = pid_t(numbers[0]), Int(numbers[1]) != nil else {
        continue
      }
      if kill(process, 0) != 0, errno == ESRCH { _ = unlink(target.sibling(name)) }
    }
  }

  /// Writes a whole file.
  package static func write(_ data: Data, to path: String) throws(FileError) {
    let file = try AtomicFile(path)
    try file.write(data)
    try file.commit()
  }

  /// Appends bytes.
  package func write(_ data: Data) throws(FileError) {
    var failure: FileError?
    data.withUnsafeBytes { bytes in
      do throws(FileError) { try write(bytes) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Appends bytes.
  package func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let written = systemWrite(UnsafeRawBufferPointer(rebasing: rest.prefix(1 << 30)))
      if written < 0 && errno == EINTR { continue }
      guard written > 0 else { throw .unwritable(path: path, reason: systemError()) }
      rest = rest.dropFirst(written)
    }
  }

  /// Gives the file its name once everything is on the disk.
  package consuming func commit() throws(FileError) {
    guard fsync(descriptor) == 0 else { throw .unwritable(path: path, reason: systemError()) }
    if hidden.isEmpty { try name() }
    let closed = close(descriptor) == 0
    descriptor = -1
    guard closed else { throw .unwritable(path: path, reason: systemError()) }
    if !hidden.isEmpty {
      guard rename(hidden, target.text) == 0 else {
        throw .unwritable(path: path, reason: systemError())
      }
      hidden = ""
    }
    syncFolder()
  }

  /// Gives a file without a name its own, or a hidden one where that is taken.
  private mutating func name() throws(FileError) {
    func link(to name: String) -> Bool {
      linkat(AT_FDCWD, "/proc/self/fd/\(descriptor)", AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0
    }
    if link(to: target.text) { return }
    guard errno == EEXIST else { throw .unwritable(path: path, reason: systemError()) }
    Self.removeAbandoned(target)
    for attempt in 0..<100 {
      let other = Self.hidden(target, attempt)
      if link(to: other) {
        hidden = other
        return
      }
      guard errno == EEXIST else { break }
    }
    throw .unwritable(path: path, reason: systemError())
  }

  private func systemWrite(_ bytes: UnsafeRawBufferPointer) -> Int {
    #if canImport(Darwin)
      Darwin.write(descriptor, bytes.baseAddress, bytes.count)
    #else
      Glibc.write(descriptor, bytes.baseAddress, bytes.count)
    #endif
  }

  /// Makes the new name survive a power cut; not every file system can, which is no error.
  private func syncFolder() {
    let directory = open(target.openableFolder, O_RDONLY)
    guard directory >= 0 else { return }
    _ = fsync(directory)
    _ = close(directory)
  }

  deinit {
    if descriptor >= 0 { _ = close(descriptor) }
    if !hidden.isEmpty { _ = unlink(hidden) }
  }
}
