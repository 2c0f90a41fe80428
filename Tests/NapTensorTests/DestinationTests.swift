import Foundation
import NapTensor
import NapTestSupport
import Testing

/// Where files go is checked before the work, and nothing that is read is written over.
@Suite struct DestinationTests {
  @Test func placesThatCannotBeAreRefused() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    func path(_ name: String) -> String { folder.appending(path: name).path }
    try AtomicFile.write(Data([1]), to: path("input"))
    let manager = FileManager.default
    try manager.createDirectory(atPath: path("data"), withIntermediateDirectories: false)
    try AtomicFile.write(Data([2]), to: path("data/batch"))
    try manager.createSymbolicLink(atPath: path("link"), withDestinationPath: "input")
    try manager.createSymbolicLink(atPath: path("dangling"), withDestinationPath: "nothing")
    try manager.createSymbolicLink(atPath: path("elsewhere"), withDestinationPath: "data")
    try manager.linkItem(atPath: path("input"), toPath: path("hard"))
    let inputs = [path("input"), path("data")]
    let refused: [(String, String)] = [
      ("", "not the name of a file"), (folder.path + "/new/", "not the name of a file"),
      (path(".."), "not the name of a file"), (path("data"), "it is a folder"),
      ("/dev/null", "not a regular file"), (path("no/out"), "the folder does not exist"),
      (path("dangling"), "a link to nothing"), (path("input"), "which is read"),
      (path("link"), "which is read"), (path("hard"), "which is read"),
      (path("data/batch"), "which is read"), (path("elsewhere/batch"), "which is read"),
      (path(String(repeating: "x", count: 201)), "200 bytes at most"),
    ]
    for (text, reason) in refused {
      let error = #expect(throws: FileError.self) { try Destination(text, besides: inputs) }
      #expect(error?.problem.contains(reason) ?? false, "\(text): \(error?.problem ?? "")")
    }
    #expect(throws: FileError.self) { try Destination(path("large"), bytes: .max / 2) }
    _ = try Destination(path("data/new"), besides: inputs)
    #expect(try Data(contentsOf: folder.appending(path: "input")) == Data([1]))
  }

  /// By device and inode; where nothing is yet, by folder and name.
  @Test func placesAreToldApart() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    func path(_ name: String) -> String { "\(folder.path)/\(name)" }
    let manager = FileManager.default
    try manager.createDirectory(atPath: path("data"), withIntermediateDirectories: false)
    try manager.createSymbolicLink(atPath: path("elsewhere"), withDestinationPath: "data")
    for (a, b, areOne) in [
      ("new", "new", true), ("new", "new/", true), ("data/../new", "new", true),
      ("data/new", "elsewhere/new", true), ("data", "elsewhere/", true), ("no/new", "no/new", true),
      ("new", "newer", false), ("new", "data/new", false), ("data", "new", false),
    ] { #expect(Destination.areOne(path(a), path(b)) == areOne, "\(a), \(b)") }
  }

  /// What Foundation throws is said by its path and the system's words.
  @Test func errorsOfFoundationAreSentences() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = "\(folder.path)/file"
    try AtomicFile.write(Data(), to: file)
    let error = #expect(throws: (any Error).self) {
      try FileManager.default.createDirectory(atPath: file, withIntermediateDirectories: true)
    }
    let sentence = error.flatMap { SystemError($0) }?.description
    #expect(sentence == "cannot use '\(file)': file exists")
    #expect(SystemError(FileError.unwritable(path: "a", reason: "b")) == nil)
  }

  /// What took hours is written elsewhere where its place is gone.
  @Test func whatCannotBeWrittenIsWrittenElsewhere() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let place = folder.appending(path: "out.onnx")
    let destination = try Destination(place.path)
    try FileManager.default.createDirectory(at: place, withIntermediateDirectories: false)
    let (path, problem) = try destination.deliver { try AtomicFile.write(Data([1]), to: $0) }
    #expect(path == folder.appending(path: "out-rescued.onnx").path && problem != nil)
    #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data([1]))
  }

  /// A write goes through a link, replaces what is there, and leaves nothing hidden.
  @Test func nothingHiddenIsLeft() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let link = folder.appending(path: "link").path
    try AtomicFile.write(Data([1]), to: folder.appending(path: "file").path)
    try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "file")
    try AtomicFile.write(Data([2]), to: link)
    #expect(try Data(contentsOf: folder.appending(path: "file")) == Data([2]))
    let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    #expect(left == ["file", "link"])
  }

  @Test(arguments: [
    ("m", "", "m", "m", ""), ("/m", "/", "m", "m", ""), ("a/b.ONNX", "a", "b.ONNX", "b", "onnx"),
    ("a/", "a", "", "", ""), ("", "", "", "", ""), (".hidden", "", ".hidden", ".hidden", ""),
    ("x.tar.gz", "", "x.tar.gz", "x.tar", "gz"),
  ])
  func partsOfPaths(
    _ text: String, _ folder: String, _ name: String, _ stem: String, _ ending: String
  ) {
    let path = FilePath(text)
    #expect(path.folder == folder && path.name == name)
    #expect(path.stem == stem && path.ending == ending)
  }
}
