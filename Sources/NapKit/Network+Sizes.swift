import NapData
import NapGraph
import NapONNX
import NapOperators
import NapReport
import NapTensor

/// Networks whose files leave sizes open beyond the batch, for somebody else to tell.
extension Network {
  /// Reads an ONNX file to be used on a data set.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - inputShapes: sizes, by input name, for inputs the file leaves open; what it does not tell is
  ///     taken from the images.
  ///   - source: the data set.
  /// - Throws: an error whose description says what is wrong with the file, or which size nobody
  ///   tells: folders of images are brought to any.
  public init(contentsOf path: String, inputShapes: [String: [Int]] = [:], for source: DataSource)
    throws
  {
    let file = try ONNXFile(path)
    var sizes: [String: [Int?]] = inputShapes.mapValues { $0.map { $0 } }
    let open = file.openInputs(given: inputShapes)
    if !open.isEmpty, let fields = try source.fields(for: file) {
      for input in open {
        guard let field = fields[input.name] else { continue }
        guard let own = input.sizes(for: field.shape) else {
          throw UsageError(
            "input '\(input.name)' has the shape \(input.text), but the data is "
              + described(field.shape),
            recovery: "give the data set the network was trained on")
        }
        sizes[input.name] = own
      }
    }
    graph = try ONNXReader(registry: .all).read(file, sizes: sizes)
  }

  /// Reads an ONNX file to be used on what another network is used on.
  ///
  /// - Throws: where it takes nothing of that size.
  public init(contentsOf path: String, like network: Network) throws {
    let file = try ONNXFile(path)
    var sizes: [String: [Int?]] = [:]
    for input in file.openInputs(given: [:]) {
      guard let own = input.sizes(for: network.imageShape) else {
        throw UsageError(
          "'\(path)' takes inputs of shape \(input.text), but the network those of shape "
            + described(network.imageShape),
          recovery: "give a network for the same images")
      }
      sizes[input.name] = own
    }
    graph = try ONNXReader(registry: .all).read(file, sizes: sizes)
  }

  /// Reads an ONNX file to be run on arrays.
  ///
  /// - Parameters:
  ///   - path: the file.
  ///   - inputShapes: sizes, by input name, for inputs the file leaves open; what it does not tell is
  ///     taken from the arrays.
  ///   - arrays: an `.npy` file for every input, by name.
  public init(
    contentsOf path: String, inputShapes: [String: [Int]] = [:], forArrays arrays: [String: String]
  ) throws {
    let file = try ONNXFile(path)
    var sizes: [String: [Int?]] = inputShapes.mapValues { $0.map { $0 } }
    for input in file.openInputs(given: inputShapes) {
      guard let path = arrays[input.name] else { throw Inference.missing(input.name) }
      let shape = try NumPyFile.open(path).shape
      guard input.dimensions == nil || input.sizes(for: Array(shape.dropFirst())) != nil else {
        throw GraphError.inputShape(name: input.name, expected: input.text, given: shape)
      }
      sizes[input.name] = shape
    }
    graph = try ONNXReader(registry: .all).read(file, sizes: sizes)
  }

  /// The sizes of the inputs beyond the batch, by name.
  package var sizes: [String: [Int]] {
    var sizes: [String: [Int]] = [:]
    for (port, shape) in zip(graph.inputs, graph.inputShapes(batch: 1)) where shape.count > 1 {
      sizes[graph.name(of: port.value)] = Array(shape.dropFirst())
    }
    return sizes
  }

  /// Reads a file that `write(to:)` has written of a network with some `sizes`.
  package init(contentsOf path: String, sizes: [String: [Int]]) throws {
    graph = try ONNXReader(registry: .all).read(
      ONNXFile(path), sizes: sizes.mapValues { [nil] + $0 })
  }
}

extension ONNXFile.OpenInput {
  /// The shape with these sizes beyond the batch; `nil` where they do not fit what is declared.
  fileprivate func sizes(for example: [Int]) -> [Int?]? {
    guard let dimensions else { return [1] + example }
    let fits =
      dimensions.count == example.count + 1
      && zip(dimensions.dropFirst(), example).allSatisfy {
        if case .fixed(let size) = $0 { size == $1 } else { $1 > 0 }
      }
    return fits ? [nil] + example : nil
  }
}

extension DataSource {
  /// What the data has for every input of a network, by name; `nil` where it comes in any size.
  fileprivate func fields(for file: ONNXFile) throws -> [String: Field]? {
    var request = DataRequest()
    request.inputs = file.inputs
    request.outputs = file.outputNames
    let data: any Dataset
    do {
      data = try open(.train, request)
    } catch DataError.noSplit {
      data = try open(.test, request)
    }
    guard !data.isOfAnySize else { return nil }
    return Dictionary(
      zip(file.inputs.map(\.name), data.inputs), uniquingKeysWith: { first, _ in first })
  }
}
