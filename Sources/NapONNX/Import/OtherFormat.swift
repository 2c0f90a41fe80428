import Foundation
import NapTensor

/// A format of networks that is not read, and how to make ONNX of it.
struct OtherFormat: Sendable {
  let name: String
  let endings: [String]
  /// Whether it tells by its contents that a file is one.
  let isIn: @Sendable (Data) -> Bool
  /// What to do with a file, a line.
  let export: @Sendable (_ path: String) -> String

  /// Of several with the same contents, that which has the ending is meant.
  static let all = [
    OtherFormat(
      name: "a PyTorch checkpoint", endings: ["pt", "pth", "bin", "tar"], isIn: isPickled
    ) {
      "in Python: model.load_state_dict(torch.load('\($0)')); \(torchExport)"
    },
    OtherFormat(name: "a Lightning checkpoint", endings: ["ckpt"], isIn: isPickled) {
      "in Python: model = YourModule.load_from_checkpoint('\($0)'); \(torchExport)"
    },
    OtherFormat(
      name: "an exported PyTorch program", endings: ["pt2"],
      isIn: { isZip($0, with: "models/model.json") }
    ) {
      "in Python: torch.onnx.export(torch.export.load('\($0)'), (), 'model.onnx'); docs/pytorch.md tells more"
    },
    OtherFormat(name: "a safetensors file", endings: ["safetensors"], isIn: isSafetensors) {
      "it has weights only; in Python: model.load_state_dict(safetensors.torch.load_file('\($0)')); \(torchExport)"
    },
    OtherFormat(
      name: "a Keras network", endings: ["keras", "h5", "hdf5"],
      isIn: {
        $0.starts(with: Data("\u{89}HDF\r\n\u{1a}\n".unicodeScalars.map { UInt8($0.value) }))
          || isZip($0, with: "model.weights.h5")
      }
    ) {
      "in Python: keras.models.load_model('\($0)').export('model.onnx', format='onnx')"
    },
    OtherFormat(
      name: "a TensorFlow Lite network", endings: ["tflite", "lite"],
      isIn: { $0.dropFirst(4).starts(with: Data("TFL3".utf8)) }
    ) {
      "python -m tf2onnx.convert --tflite '\($0)' --output model.onnx --opset 17"
    },
    OtherFormat(name: "a TensorFlow graph", endings: ["pb"], isIn: { _ in false }) {
      FilePath($0).name == savedModel
        ? convertSavedModel(FilePath($0).openableFolder)
        : "python -m tf2onnx.convert --graphdef '\($0)' --inputs INPUT:0 --outputs OUTPUT:0 --output model.onnx --opset 17"
    },
  ]

  private static let torchExport =
    "torch.onnx.export(model.eval(), (torch.randn(1, 3, 224, 224),), 'model.onnx'), with the shape of its input; docs/pytorch.md tells more"

  /// What a file is by its contents; by its name, where they tell nothing.
  ///
  /// - Parameter trustsName: whether its name counts.
  static func error(_ path: String, _ data: Data, trustsName: Bool) -> ONNXError? {
    let ending = FilePath(path).ending
    let found = all.filter { $0.isIn(data) }
    if let format = found.first(where: { $0.endings.contains(ending) }) ?? found.first {
      return .otherFormat(path: path, "is \(format.name)", export: format.export(path))
    }
    guard trustsName, let format = all.first(where: { $0.endings.contains(ending) }) else {
      return nil
    }
    return .otherFormat(path: path, "is, by its name, \(format.name)", export: format.export(path))
  }

  /// What a folder is that is taken for a network.
  static func error(folder path: String) -> ONNXError? {
    guard FileManager.default.fileExists(atPath: FilePath.joined(path, savedModel)) else {
      return nil
    }
    return .otherFormat(
      path: path, "is a TensorFlow network", export: convertSavedModel(path))
  }

  private static let savedModel = "saved_model.pb"

  private static func convertSavedModel(_ folder: String) -> String {
    "python -m tf2onnx.convert --saved-model '\(folder)' --output model.onnx --opset 17"
  }

  // MARK: Contents
  /// PyTorch's archives, and its files before version 1.6.
  @Sendable private static func isPickled(_ data: Data) -> Bool {
    isZip(data, with: "/data.pkl")
      || data.starts(with: [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9])
  }

  /// Names of what is in an archive stand before each and, once more, at its end.
  @Sendable private static func isZip(_ data: Data, with name: String) -> Bool {
    data.starts(with: [0x50, 0x4b, 0x03, 0x04])
      && [data.prefix(4096), data.suffix(65536)].contains {
        $0.range(of: Data(name.utf8)) != nil
      }
  }

  @Sendable private static func isSafetensors(_ data: Data) -> Bool {
    let length = data.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return data.count > 8 && length <= UInt64(data.count - 8)
      && data.dropFirst(8).first == UInt8(ascii: "{")
  }
}
