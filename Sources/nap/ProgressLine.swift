import Foundation
import NapKit
import NapReport
import NapTensor

/// What is told of how far a stage of the work has come, in one line that fits.
struct ProgressLine {
  var progress: WorkProgress
  /// Since the stage began, and what was done of it then.
  var seconds: Double
  var firstStep = 0
  var firstImages = 0

  private var share: Double {
    min(1, max(0, Double(progress.step) / Double(max(1, progress.steps))))
  }

  /// The most important first.
  var facts: [String] {
    var facts = [progress.stage + String(format: " %3.0f %%", 100 * share)]
    if let part = progress.part { facts[0] = "\(part), \(facts[0])" }
    let steps = progress.step - firstStep
    if let left = progress.jobSecondsLeft {
      facts.append(duration(left) + " left in all")
    } else if seconds > 0.5, steps > 0, share < 1 {
      let rest =
        progress.secondsLeft ?? seconds * Double(progress.steps - progress.step) / Double(steps)
      facts.append(duration(rest) + " left")
    }
    if let score = progress.score {
      facts.append(progress.measure.rawValue + String(format: " %.2f %%", score))
    }
    if let loss = progress.loss { facts.append(String(format: "loss %.4f", loss)) }
    let images = progress.images - firstImages
    if seconds > 0.5, images > 0 {
      facts.append(String(format: "%.0f images/s", Double(images) / seconds))
    }
    return facts
  }

  /// As much as fits, behind a bar where there is room for one.
  func drawn(width: Int) -> String {
    let room = max(1, width - 1)
    var facts = facts.map(\.printable)
    while facts.count > 1, facts.joined(separator: ", ").count > room { facts.removeLast() }
    let text = String(facts.joined(separator: ", ").prefix(room))
    let bar = min(24, room - text.count - 1)
    guard bar >= 8 else { return text }
    let full = Int(Double(bar) * share)
    return String(repeating: "█", count: full) + String(repeating: "░", count: bar - full) + " "
      + text
  }
}
