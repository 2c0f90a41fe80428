import Foundation
package import NapTensor

/// What is wrong with an ONNX file, or with the place it should be written to.
package enum ONNXError: NapError, Equatable {
  case missingFile(String)
  case unreadableFile(path: String, reason: String)
  case notONNX(path: String, reason: String)
  /// A network, but of another format.
  case otherFormat(path: String, _ what: String, export: String)
  case opset(path: String, version: Int?)
  case unsupportedOperator(name: String, opset: Int, node: String)
  case unsupportedDomain(String, operatorType: String, node: String)
  /// Something ONNX has and nap does not, such as `sparse initializer 'w'`.
  case unsupported(String, recovery: String? = nil)
  case node(name: String, type: String, problem: String, recovery: String?)
  case tensor(name: String, problem: String)
  case externalData(tensor: String, problem: String)
  case input(name: String, problem: String, recovery: String?)
  case unknownInput(String, known: [String])
  case invalid(String, recovery: String? = nil)
  case file(FileError)
  case memory(MemoryError)

  package var problem: String {
    switch self {
    case .missingFile(let path): "there is no file '\(path)'"
    case .unreadableFile(let path, let reason): "cannot read '\(path)': \(reason)"
    case .notONNX(let path, let reason): "'\(path)' is not a valid ONNX file: \(reason)"
    case .otherFormat(let path, let what, _): "'\(path)' \(what), not ONNX"
    case .opset(let path, let version?):
      "'\(path)' uses ONNX opset \(version), supported are "
        + "\(supportedOpsets.lowerBound) to \(supportedOpsets.upperBound)"
    case .opset(let path, nil): "'\(path)' does not say which ONNX opset it uses"
    case .unsupportedOperator(let name, let opset, let node):
      "operator \(name) (opset \(opset)) of node '\(node)' is not supported"
    case .unsupportedDomain(let domain, let type, let node):
      "operator \(type) of node '\(node)' belongs to domain '\(domain)', which is not supported"
    case .unsupported(let what, _): "\(what) is not supported"
    case .node(let name, let type, let problem, _): "node '\(name)' (\(type)): \(problem)"
    case .tensor(let name, let problem): "tensor '\(name)' \(problem)"
    case .externalData(let tensor, let problem): "external data of tensor '\(tensor)': \(problem)"
    case .input(let name, let problem, _): "input '\(name)' \(problem)"
    case .unknownInput(let name, _): "the model has no input '\(name)'"
    case .invalid(let problem, _): problem
    case .file(let error): error.problem
    case .memory(let error): error.problem
    }
  }

  /// What to do about operators that networks hold for a reason.
  private static let alternatives = [
    "QuantizeLinear": quantized, "DequantizeLinear": quantized, "QLinearConv": quantized,
    "QLinearMatMul": quantized, "ConvInteger": quantized, "MatMulInteger": quantized,
    "DynamicQuantizeLinear": quantized,
    "If": branching, "Loop": branching, "Scan": branching,
    "LSTM": recurrent, "GRU": recurrent, "RNN": recurrent,
    "NonMaxSuppression": "export the model up to the boxes and scores, without what follows",
    "SequenceConstruct": sequences, "SequenceAt": sequences, "SplitToSequence": sequences,
  ]
  private static let quantized = "prune the float network first, and quantize the result"
  private static let branching =
    "export the model with fixed shapes and without control flow, or fold it with onnxsim"
  private static let recurrent = "recurrent networks cannot be pruned yet"
  private static let sequences = "export the model without sequences"

  package var recovery: String? {
    switch self {
    case .notONNX: "check that the file was downloaded or copied completely"
    case .otherFormat(_, _, let export): export
    case .opset: "convert the model with onnx.version_converter, or export it again with opset 17"
    case .unsupportedOperator(let name, _, _):
      Self.alternatives[name] ?? "export the model without it, or ask for it to be added"
    case .unsupportedDomain: "export the model with standard ONNX operators only"
    case .externalData: "keep the data file in the same folder as the model"
    case .unknownInput(_, let known): "its inputs are \(known.joined(separator: ", "))"
    case .unsupported(_, let recovery), .node(_, _, _, let recovery), .input(_, _, let recovery),
      .invalid(_, let recovery):
      recovery
    case .memory(let error): error.recovery
    case .missingFile, .unreadableFile, .tensor, .file: nil
    }
  }
}

/// Opsets of the default domain that can be read.
package let supportedOpsets = 7...22

/// `1x3x32x32`, or `scalar`.
func describe(_ shape: [Int]) -> String {
  shape.isEmpty ? "scalar" : shape.map(String.init).joined(separator: "x")
}
