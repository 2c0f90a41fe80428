import Foundation
import Synchronization

/// Ctrl-C was pressed, the terminal is gone, or somebody asked for the end: work stops at the next step, so
/// that nothing is half-written.
struct Interruption: Error {
  private static let requested = Atomic<Bool>(false)

  static func install() {
    // Whoever has started nap may have blocked them.
    var set = sigset_t()
    sigemptyset(&set)
    for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&set, number) }
    pthread_sigmask(SIG_UNBLOCK, &set, nil)
    for number in [SIGINT, SIGTERM, SIGHUP] {
      let before = signal(number) { _ in
        // A second time means at once.
        if Interruption.requested.exchange(true, ordering: .relaxed) { _exit(130) }
      }
      // Under nohup.
      if number == SIGHUP, let before, unsafeBitCast(before, to: Int.self) == 1 {
        signal(number, SIG_IGN)
      }
    }
    signal(SIGPIPE, SIG_IGN)
  }

  static func check() throws {
    if requested.load(ordering: .relaxed) { throw Interruption() }
  }
}
