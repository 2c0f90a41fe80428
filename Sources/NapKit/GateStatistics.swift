import Foundation
import NapData
import NapEngine
import NapGraph
import NapTensor

/// What normalizations of a network with gates are to know where its gates have other thresholds: by threshold, how
/// running means differ from those in the network, and the logarithms of variances.
///
/// Without, more open channels made a ResNet-20 worse: 83.5 % at 56 % of the multiply-accumulates, 87.1 at the 46 that
/// it was trained for; with, 88.3.
struct GateStatistics {
  /// By threshold, in the order of the network's curve; each as long as all values together.
  private(set) var differences: [[Float]]
  private let values: [Value]

  private struct Value {
    let id: ValueID
    let isVariance: Bool
    let count: Int
  }

  /// - Parameter others: `read` from the same network with other thresholds, and statistics that were estimated
  ///   there.
  init(of graph: Graph, others: [[Float]]) {
    values = Self.values(of: graph)
    let own = Self.read(graph)
    differences = others.map { zip($0, own).map { $0 - $1 } }
  }

  /// All statistics of a network: means, and logarithms of variances.
  static func read(_ graph: Graph) -> [Float] {
    values(of: graph).flatMap { value -> [Float] in
      let floats = graph.constants[value.id]?.floats ?? []
      return value.isVariance ? floats.map { log(max($0, 1e-30)) } : floats
    }
  }

  /// - Parameters:
  ///   - text: what `text(of:)` made for this network; `nil` where it is of another.
  ///   - count: of thresholds.
  init?(_ text: String, of graph: Graph, count: Int) {
    values = Self.values(of: graph)
    let size = values.reduce(0) { $0 + $1.count }
    let parts = text.split(separator: ":")
    guard parts.count == 2, parts[0] == Self.mark(of: graph, values),
      let data = Data(base64Encoded: String(parts[1])), data.count == 2 * size * count
    else { return nil }
    let halves = data.withUnsafeBytes { bytes in
      (0..<size * count).map { bytes.loadUnaligned(fromByteOffset: 2 * $0, as: UInt16.self) }
    }
    let floats = halves.map { Float(bitPattern: UInt32(UInt16(littleEndian: $0)) << 16) }
    guard floats.allSatisfy(\.isFinite) else { return nil }
    differences = (0..<count).map { Array(floats[$0 * size..<($0 + 1) * size]) }
  }

  /// For a file: in bfloat16, which is enough for differences.
  func text(of graph: Graph) -> String {
    var data = Data()
    for x in differences.joined() {
      // To the nearest.
      let half = UInt16(
        truncatingIfNeeded: (x.bitPattern &+ 0x7fff &+ (x.bitPattern >> 16 & 1)) >> 16)
      withUnsafeBytes(of: half.littleEndian) { data.append(contentsOf: $0) }
    }
    return "\(Self.mark(of: graph, values)):\(data.base64EncodedString())"
  }

  /// Gives a network the statistics of a threshold between two of the curve, and these what they are from there.
  ///
  /// - Parameter part: of the way from the threshold at `index` to the next one.
  mutating func move(_ graph: inout Graph, to index: Int, part: Float) {
    let next = min(index + 1, differences.count - 1)
    let step = zip(differences[index], differences[next]).map { $0 + part * ($1 - $0) }
    var place = 0
    for value in values {
      guard var tensor = graph.constants[value.id] else { continue }
      for i in 0..<value.count {
        let x = tensor.floats[i]
        tensor.floats[i] =
          value.isVariance ? x * exp(min(max(step[place + i], -40), 40)) : x + step[place + i]
      }
      place += value.count
      graph.constants[value.id] = tensor
    }
    differences = differences.map { zip($0, step).map { $0 - $1 } }
  }

  private static func values(of graph: Graph) -> [Value] {
    var found: [ValueID: Value] = [:]
    for node in graph.nodes where node.op is any FoldableNormalization && node.inputs.count == 5 {
      for (index, id) in node.inputs.enumerated().dropFirst(3) {
        guard let count = graph.constants[id]?.count else { continue }
        found[id] = Value(id: id, isVariance: index == 4, count: count)
      }
    }
    return found.values.sorted {
      (graph.name(of: $0.id), $0.id.index) < (graph.name(of: $1.id), $1.id.index)
    }
  }

  /// Of names and sizes: statistics are not given to others.
  private static func mark(of graph: Graph, _ values: [Value]) -> String {
    let text = values.map { "\(graph.name(of: $0.id)) \($0.count)" }.joined(separator: "\n")
    return String(format: "%08x", Data(text.utf8).checksum)
  }
}
