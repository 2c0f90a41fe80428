import Foundation
import NapData
import NapTensor
import NapTestSupport
import Testing

/// The numbers that reach a network from a folder of images are those that torchvision's transforms make.
@Suite struct PhotographTests {
  static let isComparable =
    SharedFiles.python != nil
    && (try? SharedFiles.runCrossCheck("photographs.py", ["has"]).status) == 0

  @Test(.enabled(if: isComparable, "NAP_PYTHON has no torchvision"))
  func numbersAreThoseOfTorchvision() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let out = folder.appending(path: "expected.npy").path
    let images = folder.appending(path: "images")
    for arguments in [["make", images.path], ["prepare", images.path, out]] {
      let status = try SharedFiles.runCrossCheck("photographs.py", arguments).status
      try #require(status == 0)
    }
    let expected = try NumPyFile.read(out).floats
    let preset = try #require(Preset.named("imagenet"))
    let data = try Datasets.open(
      images.path, split: .train, for: DataRequest(fit: preset.fit(shape: [3, 224, 224])))
    let names = try FileManager.default.contentsOfDirectory(
      atPath: images.appending(path: "a").path
    ).sorted()
    #expect(names.count == data.count && expected.count == data.count * data.imageShape.product)
    let loader = Loader(
      dataset: data, preset: preset, batchSize: 1, shuffle: false, augment: false, dropLast: false,
      seed: Seed(0))
    let epoch = loader.epoch(0)
    let plane = 224 * 224
    for (index, name) in names.enumerated() {
      let batch = try #require(try epoch.next())
      var largest: Float = 0
      for i in 0..<3 * plane {
        let difference = batch.inputs[0][i] - expected[index * 3 * plane + i]
        // In units of pixels, 0...1.
        largest = max(largest, abs(difference) * preset.standardDeviation[i / plane])
      }
      #expect(largest < Self.bound(name), "\(name): \(largest * 255) of 255")
    }
  }

  /// All is the same but for what two versions differ by: of a decoder of lossy files, and of Pillow in the order
  /// of rows and columns of tall images.
  private static func bound(_ name: String) -> Float {
    name.contains("lossy") || name == "5-turned.jpg" ? 1.01 / 255 : 1e-6
  }
}
