import NapGraph
import NapPruning
import NapTensor
import NapTestSupport
import Testing

/// Times that are told by a table, by closed forms.
@Suite struct LatencyModelTests {
  /// Two convolutions with 32 channels between them, whose times are told for every width.
  private static func network(_ time: (_ channels: Int) -> Double) -> (Graph, LatencyTable) {
    var network = SmallNetwork()
    let x = network.input([4, 5, 5])
    let hidden = network.conv(x, [32, 4, 3, 3], "a")
    network.output(network.conv(hidden, [4, 32, 3, 3], "b"), [4, 5, 5])
    let entries = (1...32).flatMap { width in
      [
        LatencyTable.Entry(node: "a", inputs: 4, outputs: width, nanoseconds: time(width)),
        LatencyTable.Entry(node: "b", inputs: width, outputs: 4, nanoseconds: 2 * time(width)),
      ]
    }
    return (network.graph, LatencyTable(entries))
  }

  /// Time as of kernels that compute in blocks of 8: the first seven channels of a block save nothing.
  @Test(arguments: [Rounding.single, .automatic, .multiple(8)])
  func stepsAreGoneDown(_ rounding: Rounding) throws {
    let (graph, table) = Self.network { 1000 * Double(($0 + 7) / 8) }
    let model = try PruningModel(graph, latencies: table)
    #expect(model.cost.value(.latency) == 12_000)
    var selection = model.ranking(by: Magnitude(), .latency, rounding)
    let isMild = try selection.remove(model, .latency, downTo: 9000)
    #expect(isMild)
    #expect(model.removedUnits.count == 8 && model.cost.value(.latency) == 9000)
    let isHarsh = try selection.remove(model, .latency, downTo: 5000)
    #expect(isHarsh)
    #expect(model.removedUnits.count == 24 && model.cost.value(.latency) == 3000)
  }

  /// What makes nothing faster is not removed, and what makes it slower neither.
  @Test(arguments: [0, -20.0]) func nothingGoesForNothing(_ slope: Double) throws {
    let (graph, table) = Self.network { 1000 + slope * Double($0) }
    let model = try PruningModel(graph, latencies: table)
    var selection = UnitSelection(model, criterion: Magnitude(), cost: .latency)
    let isPossible = try selection.remove(model, .latency, downTo: 100)
    #expect(!isPossible && model.removedUnits.isEmpty)
  }
}
