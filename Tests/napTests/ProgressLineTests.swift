import NapKit
import NapReport
import Testing

@testable import nap

@Suite struct ProgressLineTests {
  private func line(_ step: Int, of steps: Int) -> ProgressLine {
    var progress = WorkProgress(
      stage: "estimating statistics", step: step, steps: steps, images: 128 * step,
      loss: 12.3456, accuracy: 98.76)
    progress.part = "round 2 of 4"
    return ProgressLine(progress: progress, seconds: 100)
  }

  /// Whatever the width, a line fits with a column to spare, and begins with what matters most.
  @Test func linesFitAnyTerminal() {
    for width in 1...200 {
      for step in [0, 1, 99, 100, 250] {
        let text = line(step, of: 100).drawn(width: width)
        #expect(text.count <= max(1, width - 1) && !text.contains("\n"))
      }
    }
    #expect(
      line(50, of: 100).drawn(width: 50).contains("round 2 of 4, estimating statistics  50 %"))
    #expect(line(50, of: 100).drawn(width: 200).contains("loss 12.3456"))
    #expect(line(50, of: 100).drawn(width: 200).hasPrefix("████████████░░░░░░░░░░░░ "))
  }

  @Test func nothingIsMoreThanWhole() {
    #expect(line(250, of: 100).facts[0].hasSuffix("100 %"))
    #expect(line(0, of: 0).facts[0].hasSuffix("  0 %"))
  }

  @Test func timesAreReadAsTheyAreSaid() {
    for (seconds, text) in [
      (0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (59.6, "1:00 min"), (185, "3:05 min"),
      (4320, "1:12 h"), (360_000, "100:00 h"), (.infinity, "277777:46 h"), (-5, "-5.0 s"),
    ] {
      #expect(duration(seconds) == text)
    }
  }
}
