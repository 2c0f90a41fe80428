import NapGraph
import NapPruning
import NapTensor
import NapTestSupport
import Testing

/// Units against those worked out by hand.
@Suite struct PruningUnitsTests {
  /// The constants a unit touches, as `name[axis]: indices`, sorted.
  private func described(_ network: SmallNetwork) throws -> [[String]] {
    let units = try PruningUnits(network.graph)
    return units.units.map { unit in
      unit.places.compactMap { place, indices in
        network.graph.constants[place.value] == nil
          ? nil : "\(network.graph.name(of: place.value))[\(place.axis)]: \(indices)"
      }.sorted()
    }
  }

  @Test func residualStreamsAreUnitsAcrossTheSum() throws {
    let stream = (0..<4).map { i in
      [
        "a.bn.bias[0]: [\(i)]", "a.bn.mean[0]: [\(i)]", "a.bn.scale[0]: [\(i)]",
        "a.bn.variance[0]: [\(i)]",
        "a.w[0]: [\(i)]", "b.w[1]: [\(i)]", "c.b[0]: [\(i)]", "c.w[0]: [\(i)]",
        "classifier.w[1]: [\(i)]",
      ]
    }
    let inner = (0..<3).map { i in
      [
        "b.bn.bias[0]: [\(i)]", "b.bn.mean[0]: [\(i)]", "b.bn.scale[0]: [\(i)]",
        "b.bn.variance[0]: [\(i)]",
        "b.w[0]: [\(i)]", "c.w[1]: [\(i)]",
      ]
    }
    #expect(Set(try described(.residual)) == Set(stream + inner))
  }

  @Test func concatenationShiftsTheSecondOperand() throws {
    let a = (0..<3).map { ["a.b[0]: [\($0)]", "a.w[0]: [\($0)]", "c.w[1]: [\($0)]"] }
    let b = (0..<2).map { ["b.b[0]: [\($0)]", "b.w[0]: [\($0)]", "c.w[1]: [\($0 + 3)]"] }
    let c = (0..<4).map { ["c.b[0]: [\($0)]", "c.w[0]: [\($0)]", "classifier.w[1]: [\($0)]"] }
    #expect(Set(try described(.concatenating)) == Set(a + b + c))
  }

  @Test func depthwiseConvolutionsGoWithTheirChannels() throws {
    let through = (0..<4).map { i in
      [
        "a.b[0]: [\(i)]", "a.w[0]: [\(i)]", "b.bn.bias[0]: [\(i)]", "b.bn.mean[0]: [\(i)]",
        "b.bn.scale[0]: [\(i)]", "b.bn.variance[0]: [\(i)]", "b.w[0]: [\(i)]", "c.w[1]: [\(i)]",
      ]
    }
    let c = (0..<3).map { ["c.b[0]: [\($0)]", "c.w[0]: [\($0)]", "classifier.w[1]: [\($0)]"] }
    #expect(Set(try described(.depthwise)) == Set(through + c))
  }

  /// Heads after one projection to queries, keys and values, as exporters write it.
  @Test func attentionHeadsAreUnits() throws {
    let units = try described(.attention)
    let heads = (0..<2).map { head -> [String] in
      let rows = (0..<3).flatMap { part in (0..<3).map { part * 6 + head * 3 + $0 } }
      let columns = (0..<3).map { head * 3 + $0 }
      return ["out.w[0]: \(columns)", "qkv.w[1]: \(rows)"]
    }
    for head in heads { #expect(units.contains(head)) }
  }

  @Test func shuffledChannelsOfAGroupGoTogether() throws {
    let units = try described(.shuffled)
    let pairs = (0..<3).map {
      ["a.w[0]: [\($0), \($0 + 3)]", "b.w[1]: [\(2 * $0), \(2 * $0 + 1)]"]
    }
    for pair in pairs { #expect(units.contains(pair)) }
  }

  /// Neither whole parts nor whole groups can go: a softmax weighs them against each other.
  @Test func splitAttentionLosesTheSameChannelsOfAllParts() throws {
    let between = (0..<4).map { i in
      [
        "b.b[0]: [\(i), \(i + 4)]", "b.w[0]: [\(i), \(i + 4)]", "c.w[1]: [\(i)]",
        "s1.w[1]: [\(i)]", "s2.b[0]: [\(i), \(i + 4)]", "s2.w[0]: [\(i), \(i + 4)]",
      ]
    }
    let before = (0..<2).map { i in
      ["a.b[0]: [\(i), \(i + 2)]", "a.w[0]: [\(i), \(i + 2)]", "b.w[1]: [\(i)]"]
    }
    let inside = (0..<3).map { ["s1.b[0]: [\($0)]", "s1.w[0]: [\($0)]", "s2.w[1]: [\($0)]"] }
    #expect(Set(try described(.splitAttention)) == Set(between + before + inside))
  }

  @Test func frozenNodesKeepTheirChannels() throws {
    var network = SmallNetwork.concatenating
    network.graph.frozenNodes = ["a"]
    let units = try described(network).flatMap { $0 }
    #expect(!units.contains { $0.hasPrefix("a.w[0]") } && units.contains { $0.hasPrefix("b.w[0]") })
  }

  @Test func squeezeExciteGatesGoWithTheirChannels() throws {
    let gated = (0..<4).map { i in
      [
        "a.b[0]: [\(i)]", "a.w[0]: [\(i)]", "classifier.w[1]: [\(i)]", "s1.w[1]: [\(i)]",
        "s2.b[0]: [\(i)]",
        "s2.w[0]: [\(i)]",
      ]
    }
    let squeezed = (0..<2).map { ["s1.b[0]: [\($0)]", "s1.w[0]: [\($0)]", "s2.w[1]: [\($0)]"] }
    #expect(Set(try described(.squeezeExcite)) == Set(gated + squeezed))
  }

  @Test func inputsAndOutputsAreFrozen() throws {
    let network = SmallNetwork.residual
    let frozen = try PruningUnits(network.graph).frozen
    let names = frozen.map {
      "\(network.graph.name(of: $0.place.value))[\($0.place.axis)]: \($0.reason)"
    }
    #expect(
      Set(names) == [
        "a.w[1]: it is an input of the network", "classifier.w[0]: it is an output of the network",
      ])
  }
}
