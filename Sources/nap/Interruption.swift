import Foundation
import Synchronization

/// Ctrl-C was pressed, the terminal is gone, or somebody asked for the end: work stops at the next step, so
/// that nothing is half-written.
struct Interruption: Error {
  /// The signal that asked for it.
  let cause: Int32

  /// The first signal that came; 0 while there was none.
  private static let requested = Atomic<Int32>(0)
  /// What people send, and terminals that are gone.
  private static let wishes = [SIGINT, SIGTERM, SIGHUP]
  /// What comes before a kill: from batch systems, and from Linux every second once the time is used up.
  private static let warnings = [SIGXCPU, SIGUSR1, SIGUSR2]

  static func install() {
    // Whoever has started nap may have blocked them.
    var set = sigset_t()
    sigemptyset(&set)
    for number in wishes + warnings { sigaddset(&set, number) }
    pthread_sigmask(SIG_UNBLOCK, &set, nil)
    for number in wishes + warnings {
      let before = signal(number) { number in
        let isFirst = Interruption.requested.compareExchange(
          expected: 0, desired: number, ordering: .relaxed
        ).exchanged
        // A second time means at once, but not of warnings: nobody waits for these.
        let isWish = number == SIGINT || number == SIGTERM || number == SIGHUP
        if isWish, !isFirst { _exit(130) }
      }
      // Under nohup, and where whoever has started nap has no use for warnings.
      if number != SIGINT, number != SIGTERM, let before, unsafeBitCast(before, to: Int.self) == 1 {
        signal(number, SIG_IGN)
      }
    }
    // The write fails then, which is said: nobody reads, or files may not become that large.
    for number in [SIGPIPE, SIGXFSZ] { signal(number, SIG_IGN) }
  }

  static func check() throws {
    let cause = requested.load(ordering: .relaxed)
    if cause != 0 { throw Interruption(cause: cause) }
  }

  /// What happened, and why where nobody was there to see it.
  var sentence: String {
    switch cause {
    case SIGXCPU: "interrupted: the processor time it may take (ulimit -t) is used up"
    case SIGUSR1: "interrupted by SIGUSR1"
    case SIGUSR2: "interrupted by SIGUSR2"
    default: "interrupted"
    }
  }
}
