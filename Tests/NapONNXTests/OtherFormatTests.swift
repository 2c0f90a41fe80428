import Foundation
import NapONNX
import NapOperators
import NapTestSupport
import Testing

/// Files of other formats are recognized, and answered with what makes ONNX of them.
@Suite struct OtherFormatTests {
  /// What a file may begin with, its name, what it is said to be, and words of what helps.
  private static let rows: [(bytes: [UInt8], name: String, what: String, help: String)] = [
    (zip("x/data.pkl"), "a.pt", "is a PyTorch checkpoint", "torch.load"),
    (zip("x/data.pkl"), "a.onnx", "is a PyTorch checkpoint", "torch.onnx.export"),
    (zip("x/data.pkl"), "a.ckpt", "is a Lightning checkpoint", "load_from_checkpoint"),
    (zip("x/models/model.json"), "a.pt2", "is an exported PyTorch program", "torch.export.load"),
    (
      [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20], "old.pth",
      "is a PyTorch checkpoint", "torch.load"
    ),
    ([2, 0, 0, 0, 0, 0, 0, 0] + Array("{}".utf8), "a", "is a safetensors file", "load_file"),
    ([0x89] + Array("HDF\r\n\u{1a}\n".utf8), "a.bin", "is a Keras network", "keras"),
    (zip("model.weights.h5"), "a.keras", "is a Keras network", "format='onnx'"),
    ([0x1c, 0, 0, 0] + Array("TFL3".utf8), "a", "is a TensorFlow Lite network", "--tflite"),
    ([0x0a, 1, 0], "a.pb", "is, by its name, a TensorFlow graph", "--graphdef"),
    ([0x08, 1, 0x12, 1, 0xff], "saved_model.pb", "is, by its name, a TensorFlow", "--saved-model"),
    (Array("text".utf8), "a.h5", "is, by its name, a Keras network", "keras"),
  ]

  private static func zip(_ name: String) -> [UInt8] {
    [0x50, 0x4b, 0x03, 0x04] + [UInt8](repeating: 0, count: 26) + Array(name.utf8)
  }

  private func failure(_ path: String) -> ONNXError? {
    do {
      _ = try ONNXReader(registry: .all).read(path)
      return nil
    } catch { return error }
  }

  @Test func filesOfOtherFormatsAreRecognized() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    for row in Self.rows {
      let file = folder.appending(path: row.name)
      try Data(row.bytes).write(to: file)
      let error = try #require(failure(file.path), "\(row.name)")
      #expect(error.problem.hasPrefix("'\(file.path)' \(row.what)"), "\(error)")
      #expect(error.problem.hasSuffix(", not ONNX"), "\(error)")
      #expect(error.recovery?.contains(row.help) == true, "\(error)")
      // The name is one that the user can open.
      #expect(
        error.recovery?.contains(row.name == "saved_model.pb" ? folder.path : row.name) == true)
    }
    // A folder with such a file is a network of that format, too.
    #expect(failure(folder.path)?.recovery?.contains("--saved-model '\(folder.path)'") == true)
  }

  /// What is ONNX may have any name.
  @Test func namesDoNotDecide() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let graph = try #require(SmallNetwork.all.first).network.graph
    for name in ["a.pt", "a.pb", "a.h5", "a.safetensors"] {
      let path = folder.appending(path: name).path
      try ONNXWriter().write(graph, to: path)
      #expect(failure(path) == nil, "\(name)")
    }
  }
}
