import Foundation
import NapTestSupport
import Testing

/// Whether the document can be followed here.
private let hasTorch: Bool = {
  guard let python = SharedFiles.python else { return false }
  let process = Process()
  process.executableURL = URL(fileURLWithPath: python)
  process.arguments = ["-c", "import torchvision, onnxscript, onnxruntime, safetensors"]
  process.standardError = FileHandle.nullDevice
  guard (try? process.run()) != nil else { return false }
  process.waitUntilExit()
  return process.terminationStatus == 0
}()

/// What docs/pytorch.md says works: from PyTorch by both exporters, pruned, and back, with equal outputs.
@Suite(.serialized, .enabled(if: hasTorch, "NAP_PYTHON is not set, or has no torchvision"))
struct DocumentTests {
  @Test(arguments: [("dynamo", "resnet18"), ("script", "mobilenet_v2")])
  func theWayFromPyTorchAndBackWorks(_ exporter: String, _ network: String) throws {
    let document = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appending(path: "../../docs/pytorch.md").standardizedFileURL
    try withFolder { folder in
      let check = try SharedFiles.runCrossCheck(
        "document.py",
        [folder.path, document.path, Program.file.path, exporter, network]
          + ["--epochs", "0", "--rounds", "2", "--curvature-images", "64", "--max-factor", "64"]
          + ["--quiet", "--no-run"])
      #expect(check.status == 0, "\(check.output)")
    }
  }
}
