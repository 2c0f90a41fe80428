import Foundation
import NapData
import NapTestSupport
import Testing

/// Folders of images.
@Suite struct FolderTests {
  private func with(_ names: [String], _ body: (String) throws -> Void) throws {
    let root = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: root) }
    for name in names {
      let file = root.appending(path: name)
      let isFolder = name.hasSuffix("/")
      try FileManager.default.createDirectory(
        at: isFolder ? file : file.deletingLastPathComponent(), withIntermediateDirectories: true)
      if !isFolder { try FormatTests.png.write(to: file) }
    }
    try body(root.path)
  }

  @Test(arguments: ["test", "val", "valid", "validation"])
  func splitsHaveManyNames(_ split: String) throws {
    try with(["train/a/1.png", "train/b/2.PNG", "\(split)/b/3.Png"]) { path in
      #expect(try Datasets.open(path, split: .train).count == 2)
      let test = try Datasets.open(path, split: .test)
      #expect(test.count == 1 && test.label(at: 0) == 1)
    }
    // A folder of that name is no class.
    try with(["\(split)/b/3.png"]) { path in
      #expect(throws: DataError.self) { try Datasets.open(path, split: .train) }
    }
  }

  @Test func whatIsLeftOutIsNamedOnce() throws {
    try with(["a/1.png", "a/notes.txt", "b/2.png", "empty/", "a/.hidden", "list.csv"]) { path in
      let data = try #require(try Datasets.open(path, split: .train) as? ImageFolder)
      #expect(data.count == 2 && data.classNames == ["a", "b"])
      #expect(
        data.remark
          == "left out in '\(path)': 2 other files (such as 'list.csv') and 1 folder without images ('empty')"
      )
    }
    try with(["a/1.png"]) { path in
      let data = try Datasets.open(path, split: .train) as? ImageFolder
      #expect(data?.remark == nil)
    }
  }

  @Test func classesAreOutputsByNumber() throws {
    try with(["dog/1.png", "ant/2.png"]) { path in
      let classes = ["cat", "dog", "emu", "ant"]
      let data = try Datasets.open(path, split: .train, for: DataRequest(classes: classes))
      #expect(data.classNames == classes)
      #expect((0..<2).map(data.label) == [3, 1])
      let error = #expect(throws: DataError.self) {
        try Datasets.open(path, split: .train, for: DataRequest(classes: ["cat", "dog"]))
      }
      #expect(error?.problem.contains("'ant'") == true)
    }
  }
}
