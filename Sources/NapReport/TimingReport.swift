import Foundation

/// Where the time of one pass goes, by kind of step.
public struct TimingReport: Codable, Sendable, Equatable {
  public struct Entry: Codable, Sendable, Equatable {
    public var step: String
    /// The kernel, such as `jit:avx512_core`; empty for loops of nap's own.
    public var implementation: String
    public var count: Int
    public var milliseconds: Double

    public init(step: String, implementation: String, count: Int, milliseconds: Double) {
      self.step = step
      self.implementation = implementation
      self.count = count
      self.milliseconds = milliseconds
    }
  }

  public var entries: [Entry]
  public var milliseconds: Double
  public var imagesPerSecond: Double
  /// Memory of activations, gradients and scratch.
  public var arenaBytes: Int

  public init(entries: [Entry], milliseconds: Double, imagesPerSecond: Double, arenaBytes: Int) {
    self.entries = entries
    self.milliseconds = milliseconds
    self.imagesPerSecond = imagesPerSecond
    self.arenaBytes = arenaBytes
  }

  enum CodingKeys: String, CodingKey {
    case entries, milliseconds
    case imagesPerSecond = "images_per_second"
    case arenaBytes = "arena_bytes"
  }

  public func renderedAsText() -> String {
    var table = Table(["step", "kernel", "count", "ms", "share"])
    for entry in entries {
      table.rows.append([
        entry.step, entry.implementation, String(entry.count),
        String(format: "%.2f", entry.milliseconds),
        String(format: "%.1f %%", 100 * entry.milliseconds / milliseconds),
      ])
    }
    return table.rendered()
      + String(
        format: "\n\n%.1f ms, %.0f images/s, %.0f MiB of planned memory", milliseconds,
        imagesPerSecond,
        Double(arenaBytes) / 1_048_576)
  }
}
