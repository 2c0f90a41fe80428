package import struct Foundation.Data
package import NapGraph

/// A decoded file, which may leave sizes of its inputs for others to tell.
package struct ONNXFile {
  let model: ParsedModel

  /// - Throws: an `ONNXError` that says what is wrong with the file.
  package init(_ path: String) throws(ONNXError) { model = try ParsedModel(path: path) }

  /// - Parameter data: the bytes of a file without external data.
  package init(data: Data) throws(ONNXError) {
    model = try ParsedModel(path: "the model", data: data)
  }

  /// An input with sizes beyond the batch that are not known.
  package struct OpenInput: Sendable {
    package var name: String
    /// The declared sizes, or `nil` where the file does not even give their number.
    package var dimensions: [Dimension]?
    /// Such as `Nx3xHxW`.
    package var text: String
  }

  /// What the file says of itself, in order.
  package var metadata: [(key: String, value: String)] { model.metadata }

  /// Names of the inputs, and whether they take whole numbers.
  package var inputs: [(name: String, isInteger: Bool)] {
    model.inputs.map { ($0.name, $0.isInteger) }
  }

  package var outputNames: [String] { model.outputs.map(\.name) }

  /// The inputs with sizes beyond the batch that neither the file nor `shapes` tells.
  ///
  /// - Parameter shapes: by the name of an input; what it says of a named size holds for all.
  package func openInputs(given shapes: [String: [Int]]) -> [OpenInput] {
    let named = model.namedSizes(given: shapes.mapValues { $0.map { $0 } })
    return model.inputs.filter { input in
      guard shapes[input.name] == nil else { return false }
      return input.dimensions?.dropFirst().contains {
        if case .dynamic(let name) = $0 { named[name] == nil } else { false }
      } ?? true
    }.map { OpenInput(name: $0.name, dimensions: $0.dimensions, text: $0.text) }
  }
}

extension ParsedModel {
  /// The sizes of named dimensions beyond the batch, as shapes of inputs tell them.
  func namedSizes(given shapes: [String: [Int?]]) -> [String: Int] {
    var sizes: [String: Int] = [:]
    for input in inputs {
      for (dimension, size) in zip(input.dimensions ?? [], shapes[input.name] ?? []).dropFirst() {
        if case .dynamic(let name) = dimension, !name.isEmpty, let size, sizes[name] == nil {
          sizes[name] = size
        }
      }
    }
    return sizes
  }

  /// The dimensions of all inputs as the network is read with them, see
  /// `Signature.dimensions(given:named:)`.
  ///
  /// - Throws: where a size is not told, or told twice.
  func dimensions(given shapes: [String: [Int?]]) throws(ONNXError) -> [[Dimension]] {
    let known = inputs.map(\.name)
    for name in shapes.keys.sorted() where !known.contains(name) {
      throw .unknownInput(name, known: known)
    }
    let named = namedSizes(given: shapes)
    var result: [[Dimension]] = []
    for input in inputs {
      let dimensions = try input.dimensions(given: shapes[input.name], named: named)
      for (declared, used) in zip(input.dimensions ?? [], dimensions).dropFirst() {
        guard case .dynamic(let name) = declared, let size = named[name], used != .fixed(size)
        else { continue }
        throw .input(
          name: input.name,
          problem: "has another size '\(name)' than \(size), which another input has",
          recovery: "give the same number with --input-shape for both")
      }
      result.append(dimensions)
    }
    return result
  }
}
