import Foundation
import Synchronization

/// Ctrl-C was pressed: work stops at the next step, so that nothing is half-written.
struct Interruption: Error {
  private static let requested = Atomic<Bool>(false)

  static func install() {
    for number in [SIGINT, SIGTERM] {
      signal(number) { _ in
        // A second time means at once.
        if Interruption.requested.exchange(true, ordering: .relaxed) { _exit(130) }
      }
    }
    signal(SIGPIPE, SIG_IGN)
  }

  static func check() throws {
    if requested.load(ordering: .relaxed) { throw Interruption() }
  }
}
