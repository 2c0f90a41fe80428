import Foundation
import NapFuzzing
import NapTestSupport
import Testing

/// What has been found by fuzzing stays mended.
@Suite struct CorpusTests {
  private static let corpus = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "NapFuzzing/Corpus")

  @Test(arguments: FuzzTarget.all.map(\.name)) func isReadOrRefused(_ name: String) throws {
    let target = try #require(FuzzTarget.named(name))
    let kept = Self.corpus.appending(path: name)
    let files =
      (try? FileManager.default.contentsOfDirectory(at: kept, includingPropertiesForKeys: nil))
      ?? []
    var refusals: [String?] = []
    for bytes in try target.seeds() + files.map({ try Data(contentsOf: $0) }) {
      let folder = try SharedFiles.makeTemporaryFolder()
      defer { try? FileManager.default.removeItem(at: folder) }
      refusals.append(try target.refusal(of: bytes, in: folder))
    }
    // Of files that are all refused, nothing is learned.
    #expect(refusals.contains(nil), "\(refusals)")
  }
}
