import Foundation
import NapGraph
import NapTensor

/// What stayed of a network that was pruned, in terms of the network as it was read.
///
/// It cuts what else belongs to that network: the module that it was exported from, the state of an
/// optimizer, a checkpoint.
public struct KeptIndices: Codable, Sendable, Equatable {
  /// A tensor of which something was cut off.
  public struct Axes: Codable, Sendable, Equatable {
    /// As it was before; of values, for one example.
    public var shape: [Int]
    /// What stayed of every axis that was cut: ascending indices, counted from 0, into the axis as it was. None of the
    /// first axis, where the parameter went with the branch that it was in.
    public var kept: [Int: [Int]]
  }

  /// Which elements of a weight stayed.
  public struct Mask: Sendable, Equatable {
    public var shape: [Int]
    /// In row-major order.
    public var isKept: [Bool]
  }

  /// Of what files of it look like.
  public private(set) var format = 1
  /// Weights, biases and what normalizations go by, by their names in the file that was read.
  public private(set) var parameters: [String: Axes] = [:]
  /// What layers compute, by the names of their nodes: their channels, where parameters behind them were
  /// folded away or have no name of their own.
  public private(set) var values: [String: Axes] = [:]
  /// Of single weights that were set to zero, by the names of the weights.
  public private(set) var masks: [String: Mask] = [:]

  private enum CodingKeys: String, CodingKey {
    case format, parameters, values
  }

  /// - Parameter hasMasks: whether weights that are zero count as removed.
  init(_ graph: Graph, hasMasks: Bool) {
    let shapes = try? graph.shapes(batch: 1)
    var found: [ValueID: Axes] = [:]
    for (value, cuts) in Dictionary(grouping: graph.cuts, by: \.key.value) {
      // Of what went as a whole, there are cuts of all axes, and nothing is left of the first.
      let isGone = cuts.contains { $0.value.kept.isEmpty }
      let shape =
        isGone ? cuts.map { _ in 0 } : graph.constants[value]?.shape ?? shapes?[value.index]
      guard let shape else { continue }
      var axes = Axes(shape: shape, kept: [:])
      // Of what is computed no more there is no shape.
      for (place, cut) in cuts where shape.indices.contains(place.axis) {
        axes.shape[place.axis] = cut.size
        axes.kept[place.axis] = cut.kept
      }
      if !axes.kept.isEmpty { found[value] = axes }
    }
    for (value, axes) in found where graph.constants[value] != nil || axes.kept[0] == [] {
      parameters[graph.name(of: value)] = axes
    }
    for node in graph.nodes where node.op is any AffineOperator {
      values[node.name] = found[node.outputs[0]]
      guard hasMasks, let weight = graph.constants[node.inputs[1]], weight.floats.contains(0) else {
        continue
      }
      masks[graph.name(of: node.inputs[1])] = Mask(
        shape: weight.shape, isKept: weight.floats.map { $0 != 0 })
    }
  }

  /// Writes a file, of which the ending tells the format: `.json`, or `.safetensors`, where `NAME_kept_AXIS` has
  /// the indices of an axis, `values/NODE_kept_AXIS` those of a value and `NAME_mask` is true for weights that stayed.
  ///
  /// - Throws: a `UsageError` for other endings, and for masks in JSON, which would be larger than the network.
  public func write(to path: String) throws {
    try Self.check(path, hasMasks: !masks.isEmpty)
    try AtomicFile.write(FilePath(path).ending == "json" ? json() : safetensors(), to: path)
  }

  /// Whether a file of such a name can be written.
  ///
  /// - Throws: a `UsageError` where it cannot.
  public static func check(_ path: String, hasMasks: Bool) throws {
    switch FilePath(path).ending {
    case "safetensors": break
    case "json" where hasMasks:
      throw UsageError(
        "'\(path)' is to hold a mask of every weight, which JSON is not made for",
        recovery: "give a name that ends in .safetensors")
    case "json": break
    default:
      throw UsageError(
        "the name of '\(path)' does not say what it is to be",
        recovery: "give one that ends in .json or .safetensors")
    }
  }

  private func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return try encoder.encode(self) + Data("\n".utf8)
  }

  private func safetensors() throws -> Data {
    var file = Safetensors()
    file.metadata["nap.kept"] = "\(format)"
    for (prefix, tensors) in [("", parameters), ("values/", values)] {
      for (name, axes) in tensors {
        for (axis, kept) in axes.kept { file.add("\(prefix)\(name)_kept_\(axis)", kept) }
      }
    }
    for (name, mask) in masks { file.add("\(name)_mask", mask.isKept, shape: mask.shape) }
    return try file.encoded()
  }
}

extension Network {
  /// What stayed of the network since it was read.
  ///
  /// - Parameter masks: whether weights that are zero count as removed, as where single weights were.
  public func kept(masks: Bool = false) -> KeptIndices { KeptIndices(graph, hasMasks: masks) }
}
