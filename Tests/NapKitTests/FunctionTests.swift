import Foundation
import NapReport
import NapTensor
import NapTestSupport
import Testing

@testable import NapKit

@Suite struct FunctionTests {
  /// A job says who took over from whom, with a picture of every layer; the page has it all.
  @Test func reportsSayWhoTookOver() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let source = try DataSource(path: "synthetic", preset: "synthetic")
    let network = try Training(source: source).network("resnet8")
    var pruning = Pruning(source: source)
    pruning.allowsChance = true
    pruning.curvatureImages = 128
    pruning.criterion = "functionality"
    pruning.goal = .macs(0.6)
    pruning.epochs = 0
    pruning.rounds = 1
    let path = folder.appending(path: "run").path
    func job() throws -> (network: Network, report: PruningReport) {
      let run = try RunDirectory(creating: path, for: Job(arguments: ["prune"]))
      let result = try pruning.run(network, in: run)
      run.finish(result.report)
      return result
    }
    let (smaller, report) = try job()
    #expect(report.verified)
    #expect(Double(smaller.macs) <= 0.6 * Double(network.macs))
    let functions = try #require(report.functions)
    #expect(!functions.isEmpty)
    #expect(functions.contains { !$0.removed.isEmpty })
    for layer in functions {
      let gone = Set(layer.removed.map(\.filter))
      for removal in layer.removed {
        guard let successor = removal.successor else { continue }
        #expect(!gone.contains(successor))
        let cluster = layer.clusters.first { $0.contains(removal.filter) }
        #expect(cluster?.contains(successor) == true)
      }
      let sheet = try #require(layer.sheet)
      let data = try #require(FileManager.default.contents(atPath: "\(path)/\(sheet)"))
      #expect(data.starts(with: [0x89, 0x50, 0x4e, 0x47]))
    }
    let page = try RunDirectory(reading: path).page()
    #expect(page.components(separatedBy: "data:image/png;base64,").count == functions.count + 1)
    #expect(page.contains("What filters respond to"))
    // A directory with pictures is known for one of ours.
    _ = try RunDirectory(creating: path, replacing: true)
    #expect(!FileManager.default.fileExists(atPath: "\(path)/\(functions[0].sheet ?? "")"))
  }

  @Test func sheetsShowImagesOnly() {
    let image = Tensor(shape: [2, 3, 4, 4], floats: (0..<96).map { Float($0 % 7) })
    #expect(ContactSheet(images: image, groups: [[0], [1]], marked: [1]).encoded() != nil)
    let vectors = Tensor(shape: [2, 5], repeating: 1)
    #expect(ContactSheet(images: vectors, groups: [[0, 1]], marked: []).encoded() == nil)
    #expect(ContactSheet(images: image, groups: [], marked: []).encoded() == nil)
  }

  /// Whatever way a network takes its images, people see them the same way.
  @Test(arguments: ["nchw", "nhwc"], ["rgb", "bgr"]) func sheetsShowWhatPeopleSee(
    _ layout: String, _ channels: String
  ) throws {
    let plain = Seed(1).normal([2, 3, 4, 5], deviation: 1)
    var choices = DataSource.Choices()
    (choices.preset, choices.layout, choices.channels) = ("plain", layout, channels)
    let preset = try DataSource(path: "synthetic", choices).preset
    var (shape, taken) = (plain.shape, plain.floats)
    if layout == "nhwc" { shape = [2, 4, 5, 3] }
    for n in 0..<2 {
      for c in 0..<3 {
        for p in 0..<20 {
          let own = channels == "bgr" ? 2 - c : c
          let place = layout == "nhwc" ? (n * 20 + p) * 3 + own : (n * 3 + own) * 20 + p
          taken[place] = plain.floats[(n * 3 + c) * 20 + p]
        }
      }
    }
    #expect(Tensor(shape: shape, floats: taken).pictures(of: preset) == plain)
  }
}
