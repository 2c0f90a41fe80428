import Foundation

/// Where the time of one pass goes.
public struct TimingReport: Report, Sendable, Equatable {
  public struct Entry: Codable, Sendable, Equatable {
    /// The node the step belongs to; `nil` in sums over nodes.
    public var node: String?
    public var step: String
    /// The kernel, such as `jit:avx512_core`; empty for plain loops.
    public var implementation: String
    /// Of the result, such as `aBcd16b`; `nil` in sums over nodes.
    public var layout: String?
    public var count = 0
    public var milliseconds = 0.0
    /// Of the sum over all entries, in percent; all of them add up to 100.
    public internal(set) var share = 0.0
    /// Floating point operations that the convolution or product takes when it is written out.
    public var operations = 0.0

    public init(node: String?, step: String, implementation: String, layout: String?) {
      self.node = node
      self.step = step
      self.implementation = implementation
      self.layout = layout
    }
  }

  public var entries: [Entry]
  /// Of the whole pass, run as it is in earnest.
  public var milliseconds: Double
  public var imagesPerSecond: Double
  /// Of inverting factors of inputs, which comes once after all images; of curvature alone.
  public var inversionMilliseconds: Double?
  /// The share of a training's time that is spent waiting for data, in percent; `nil` where none were given.
  public var waitingShare: Double?
  /// Memory of activations, gradients and scratch.
  public var arenaBytes: Int
  /// Of the bare kernels, each timed for itself.
  public var kernelMilliseconds: Double
  /// `kernelMilliseconds` by `milliseconds`: 1 is as fast as these kernels can be.
  public var kernelShare: Double

  public init(entries: [Entry], milliseconds: Double, imagesPerSecond: Double, arenaBytes: Int) {
    self.entries = entries
    for (index, share) in Self.shares(of: entries.map(\.milliseconds)).enumerated() {
      self.entries[index].share = share
    }
    self.milliseconds = milliseconds
    self.imagesPerSecond = imagesPerSecond
    self.arenaBytes = arenaBytes
    let kernels = entries.filter { !$0.implementation.isEmpty && $0.step != "reorder" }
    kernelMilliseconds = kernels.reduce(0) { $0 + $1.milliseconds }
    kernelShare = kernelMilliseconds / milliseconds
  }

  /// Parts of a whole in percent, rounded to tenths so that they add up to 100: those that are nearest to the
  /// next tenth get what rounding down leaves.
  static func shares(of parts: [Double]) -> [Double] {
    let sum = parts.reduce(0, +)
    guard sum > 0 else { return parts.map { _ in 0 } }
    let exact = parts.map { 1000 * $0 / sum }
    var tenths = exact.map { Int($0) }
    let missing = 1000 - tenths.reduce(0, +)
    let order = exact.indices.sorted {
      (exact[$1] - Double(tenths[$1]), $0) < (exact[$0] - Double(tenths[$0]), $1)
    }
    for index in order.prefix(missing) { tenths[index] += 1 }
    return tenths.map { Double($0) / 10 }
  }

  enum CodingKeys: String, CodingKey {
    case entries, milliseconds
    case waitingShare = "waiting_share"
    case inversionMilliseconds = "inversion_milliseconds"
    case imagesPerSecond = "images_per_second"
    case arenaBytes = "arena_bytes"
    case kernelMilliseconds = "kernel_milliseconds"
    case kernelShare = "kernel_share"
  }

  public func renderedAsText() -> String {
    let byNode = entries.contains { $0.layout != nil }
    var table = Table(
      byNode
        ? ["node", "step", "kernel", "layout", "ms", "GFLOP/s", "share"]
        : ["step", "kernel", "count", "ms", "GFLOP/s", "share"])
    for entry in entries {
      let speed = entry.operations / (1e6 * max(entry.milliseconds, 1e-6))
      let numbers = [
        String(format: "%.2f", entry.milliseconds),
        entry.operations > 0 ? String(format: "%.0f", speed) : "",
        String(format: "%.1f %%", entry.share),
      ]
      table.rows.append(
        (byNode
          ? [entry.node ?? "", entry.step, entry.implementation, entry.layout ?? ""]
          : [entry.step, entry.implementation, String(entry.count)]) + numbers)
    }
    let sum = entries.reduce(0) { $0 + $1.milliseconds }
    table.rows.append(
      ["sum"] + Array(repeating: "", count: byNode ? 3 : 2)
        + [String(format: "%.2f", sum), "", entries.isEmpty ? "" : "100.0 %"])
    var text =
      table.rendered()
      + String(
        format: "\n\n%.1f ms, %.0f images/s, %.0f MiB of planned memory", milliseconds,
        imagesPerSecond, Double(arenaBytes) / 1_048_576)
    if kernelMilliseconds > 0 {
      text += String(format: "; kernels alone %.1f ms (%.2f)", kernelMilliseconds, kernelShare)
    }
    if let inversionMilliseconds {
      text += String(format: "; inverting factors, once: %.1f ms", inversionMilliseconds)
    }
    if let waitingShare {
      text += String(format: "\nwaiting for data: %.1f %% of the time", waitingShare)
    }
    return text
  }
}
