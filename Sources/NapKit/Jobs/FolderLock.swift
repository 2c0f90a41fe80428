import Foundation

/// Keeps other processes out of a folder. It is of the folder itself: no file is needed, and a dead process
/// holds none.
final class FolderLock {
  private let descriptor: Int32

  init(_ path: String) throws {
    descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw UsageError("the run directory '\(path)' cannot be read") }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw UsageError(
        "another nap is at work in '\(path)'",
        recovery: "wait for it, or give another directory with --run")
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }
}
