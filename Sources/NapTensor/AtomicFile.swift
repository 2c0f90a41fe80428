package import Foundation

/// A file that appears under its name complete or not at all.
///
/// Bytes go to a hidden file in the same folder, which takes the name when it is committed and
/// vanishes when it is not.
package struct AtomicFile: ~Copyable {
  package let path: String
  private let temporaryPath: String
  private var descriptor: Int32
  private var isCommitted = false

  /// Opens the hidden file.
  package init(_ path: String) throws(FileError) {
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
      throw .unwritable(path: path, reason: "it exists and is not a regular file")
    }
    let folder = (path as NSString).deletingLastPathComponent
    let file = (path as NSString).lastPathComponent
    guard !file.isEmpty, !path.hasSuffix("/") else {
      throw .unwritable(path: path, reason: "it is not a file name")
    }
    let stem = (folder.isEmpty ? "" : folder + "/") + ".\(file).\(getpid())"
    var attempt = 0
    var opened: Int32 = -1
    var temporary = ""
    repeat {
      temporary = "\(stem).\(attempt).tmp"
      opened = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0o666)
      attempt += 1
    } while opened < 0 && errno == EEXIST && attempt < 100
    guard opened >= 0 else {
      let reason = errno == ENOENT ? "the folder does not exist" : systemError()
      throw .unwritable(path: path, reason: reason)
    }
    self.path = path
    temporaryPath = temporary
    descriptor = opened
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
    let synced = fsync(descriptor) == 0
    let reason = systemError()
    let closed = close(descriptor) == 0
    descriptor = -1
    guard synced else { throw .unwritable(path: path, reason: reason) }
    guard closed, rename(temporaryPath, path) == 0 else {
      throw .unwritable(path: path, reason: systemError())
    }
    isCommitted = true
    syncFolder()
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
    let folder = (path as NSString).deletingLastPathComponent
    let directory = open(folder.isEmpty ? "." : folder, O_RDONLY)
    guard directory >= 0 else { return }
    _ = fsync(directory)
    _ = close(directory)
  }

  deinit {
    if descriptor >= 0 { _ = close(descriptor) }
    if !isCommitted { _ = unlink(temporaryPath) }
  }
}

/// The system's words for the last error, in our style.
private func systemError() -> String {
  let words = String(cString: strerror(errno))
  return words.prefix(1).lowercased() + words.dropFirst()
}
