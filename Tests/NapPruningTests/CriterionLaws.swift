import NapCurvature
import NapGraph
import NapKernels
import NapOperators
import NapPruning
import NapTensor
import NapTestSupport
import Testing

/// What every criterion owes: a new one inherits these tests from the list.
@Suite struct CriterionLaws {
  static let names = allCriteria.map { $0.name }

  private func criterion(_ name: String) throws -> any Criterion.Type {
    try #require(allCriteria.first { $0.name == name })
  }

  @Test func namesAreUnique() {
    #expect(Set(Self.names).count == Self.names.count)
    #expect(allCriteria.allSatisfy { !$0.summary.isEmpty })
  }

  @Test(arguments: names) func scoresAreFinite(_ name: String) throws {
    let criterion = try criterion(name)
    for (label, network) in SmallNetwork.all {
      var network = network
      let x = network.tensor([4, 2, 4, 4])
      let model = try PruningModel(network.graph, knowing: criterion.evidence, from: x)
      for unit in model.units.units {
        #expect(criterion.init().score(of: unit, in: model).isFinite, "\(label)")
      }
      guard criterion.scoresWeights else { continue }
      for layer in model.layers.values {
        for matrix in criterion.init().weightScores(in: layer) {
          #expect(matrix.elements.allSatisfy { $0.isFinite && $0 >= 0 }, "\(label)")
        }
      }
    }
  }

  /// A channel nobody reads and nothing computes costs nothing, and no channel costs less.
  @Test(arguments: names.filter { !["random", "fpgm", "gate-joint"].contains($0) })
  func deadChannelsAreTheCheapest(_ name: String) throws {
    let criterion = try criterion(name)
    var network = SmallNetwork.residual
    let units = try PruningUnits(network.graph).units
    let roles = network.graph.parameterRoles
    for (place, indices) in units[1].places where roles[place.value] != .statistic {
      guard var tensor = network.graph.constants[place.value] else { continue }
      let inner = tensor.shape[(place.axis + 1)...].product
      for outer in 0..<tensor.shape[..<place.axis].product {
        for index in indices {
          let first = (outer * tensor.shape[place.axis] + index) * inner
          for i in first..<first + inner { tensor.floats[i] = 0 }
        }
      }
      network.graph.constants[place.value] = tensor
    }
    let x = network.tensor([4, 2, 4, 4])
    let model = try PruningModel(network.graph, knowing: criterion.evidence, from: x)
    let scores = model.units.units.map { criterion.init().score(of: $0, in: model) }
    #expect(scores[1] <= (scores.min() ?? 0) + 1e-12, "\(scores)")
  }

  /// Against finite differences of the loss in a factor on the unit.
  @Test func gatesAreDerivativesByAFactor() throws {
    var network = SmallNetwork.concatenating
    let x = network.tensor([3, 2, 4, 4])
    let collector = try GradientCollector(network.graph, kind: .labels, batch: 3, seed: Seed(1))
    let labels = [0, 1, 0]
    collector.add(x.floats, labels: labels)
    let gradients = collector.takeGradients()
    let node = try #require(network.graph.nodes.firstIndex { $0.name == "c" })
    let found = try #require(gradients[node])
    let weight = network.graph.nodes[node].inputs[1]
    let tensor = try #require(network.graph.constants[weight])
    let step: Float = 1e-2
    let width = tensor.shape.dropFirst(2).product
    for channel in 0..<tensor.shape[1] {
      func losses(_ factor: Float) -> [Double] {
        var graph = network.graph
        var scaled = tensor
        for o in 0..<tensor.shape[0] {
          for k in 0..<width {
            scaled.floats[(o * tensor.shape[1] + channel) * width + k] *= factor
          }
        }
        graph.constants[weight] = scaled
        return negativeLogLikelihoods(graph.evaluate([x])[0], labels)
      }
      let (up, down) = (losses(1 + step), losses(1 - step))
      for n in 0..<3 {
        let slope = (up[n] - down[n]) / Double(2 * step)
        let gate = (0..<width).reduce(0) { $0 + found.gates[n, channel * width + $1] }
        #expect(abs(slope - gate) < 1e-3 + 0.01 * abs(slope), "\(n), \(channel): \(slope) \(gate)")
      }
    }
  }

  /// Closing an input without compensation is what gates are about.
  @Test func removalsWithoutCompensationAreGates() throws {
    for (name, network) in SmallNetwork.all {
      var network = network
      let x = network.tensor([3, 2, 4, 4])
      let collector = try GradientCollector(network.graph, kind: .model, batch: 3, seed: Seed(5))
      collector.add(x.floats)
      let expected = collector.takeGradients().filter { $0.value.gates.rows > 0 }
      let directions = expected.mapValues { gradients in
        gradients.means.map { group -> Matrix in
          var plain = Matrix(rows: group.columns, columns: group.columns + 1)
          for j in 0..<plain.rows { plain[j, j] = 1 }
          return plain
        }
      }
      let removals = try RemovalCollector(
        network.graph, directions: directions, batch: 3, seed: Seed(5))
      removals.add(x.floats)
      let found = removals.takeDerivatives()
      #expect(Set(found.keys) == Set(expected.keys))
      for (node, groups) in found {
        let gates = try #require(expected[node]).gates
        for (group, matrix) in groups.enumerated() {
          for n in 0..<matrix.rows {
            for j in 0..<matrix.columns {
              let gate = gates[n, group * matrix.columns + j]
              #expect(abs(matrix[n, j] + gate) < 1e-5, "\(name)")
            }
          }
        }
      }
    }
  }

  /// Through `∂L/∂W` or position by position, the same comes out, and of one example the change of its
  /// loss with all weights together.
  @Test func removalsAreSlopesAlongTheirDirections() throws {
    for (name, network) in SmallNetwork.all {
      var network = network
      let x = network.tensor([1, 2, 4, 4])
      let collector = try GradientCollector(network.graph, kind: .model, batch: 1, seed: Seed(5))
      collector.add(x.floats)
      let gradients = collector.takeGradients().filter { $0.value.gates.rows > 0 }
      var random = Seed(6).generator()
      func directions(_ constant: Double) -> [Int: [Matrix]] {
        gradients.mapValues { gradients in
          gradients.means.map { group in
            let inputs = group.columns
            var result = Matrix(rows: inputs, columns: inputs + 1)
            for j in 0..<inputs {
              for k in 0..<inputs { result[j, k] = Double(random.uniform()) - 0.5 }
              result[j, inputs] = constant
            }
            return result
          }
        }
      }
      func found(_ directions: [Int: [Matrix]], byPosition: Bool) throws -> [Int: [Matrix]] {
        let removals = try RemovalCollector(
          network.graph, directions: directions, batch: 1, byPosition: byPosition, seed: Seed(5))
        removals.add(x.floats)
        return removals.takeDerivatives()
      }
      let withConstants = directions(0.3)
      let others = try found(withConstants, byPosition: true)
      for (node, groups) in try found(withConstants, byPosition: false) {
        for (matrix, other) in zip(groups, try #require(others[node])) {
          for (a, b) in zip(matrix.elements, other.elements) {
            #expect(abs(a - b) < 1e-5, "\(name)")
          }
        }
      }
      let plain = directions(0)
      for (node, groups) in try found(plain, byPosition: false) {
        let layer = network.graph.nodes[node]
        let op = try #require(layer.op as? any AffineOperator)
        let weights = op.matrices(ofWeight: try #require(network.graph.constants[layer.inputs[1]]))
        for (group, matrix) in groups.enumerated() {
          let slopes = try #require(gradients[node]).means[group]
          let direction = try #require(plain[node])[group]
          for j in 0..<matrix.columns {
            var expected = 0.0
            for i in 0..<slopes.rows {
              let along = (0..<matrix.columns).reduce(0) { $0 + slopes[i, $1] * direction[j, $1] }
              let weight = weights.floats[(group * slopes.rows + i) * matrix.columns + j]
              expected -= Double(weight) * along
            }
            #expect(abs(matrix[0, j] - expected) < 1e-5, "\(name)")
          }
        }
      }
    }
  }

  private func negativeLogLikelihoods(_ logits: Tensor, _ labels: [Int]) -> [Double] {
    let classes = logits.shape[1]
    return labels.enumerated().map { n, label in
      var p = [Float](repeating: 0, count: classes)
      let z = Array(logits.floats[n * classes..<(n + 1) * classes])
      return Double(softmax(z, classes, temperature: 1, into: &p) - z[label])
    }
  }

  @Test(arguments: ["nap", "nap-sum", "magnitude", "snip", "wanda"])
  func patternsKeepSoManyOfEveryGroup(_ name: String) throws {
    let criterion = try criterion(name)
    let pattern = WeightPattern(kept: 1, of: 2)
    for (label, network) in SmallNetwork.all {
      var network = network
      let x = network.tensor([4, 2, 4, 4])
      let model = try PruningModel(network.graph, knowing: criterion.evidence, from: x)
      let masks = try WeightSelection(model).prune(to: pattern, criterion: criterion.init())
      let graph = model.weighted()
      for (weight, mask) in masks {
        let layer = try #require(model.layers.values.first { $0.weight == weight })
        let tensor = try #require(graph.constants[weight])
        let (outer, axis) = (
          tensor.shape[..<layer.op.weightInputAxis].product, layer.op.weightInputAxis
        )
        let (channels, inner) = (tensor.shape[axis], tensor.shape[(axis + 1)...].product)
        #expect(channels % 2 == 0)
        for o in 0..<outer {
          for first in stride(from: 0, to: channels, by: 2) {
            for k in 0..<inner {
              let places = [first, first + 1].map { (o * channels + $0) * inner + k }
              #expect(places.count { mask[$0] } == 1, "\(label)")
              #expect(places.allSatisfy { mask[$0] || tensor.floats[$0] == 0 }, "\(label)")
            }
          }
        }
      }
    }
  }
}
