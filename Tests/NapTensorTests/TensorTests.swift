import Foundation
import NapTensor
import NapTestSupport
import Testing

@Suite struct TensorTests {
  @Test func selectingTakesIndicesOfAnAxis() {
    let tensor = Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])
    #expect(tensor.selecting([2, 0], axis: 1) == Tensor(shape: [2, 2], floats: [3, 1, 6, 4]))
    #expect(tensor.selecting([1], axis: 0) == Tensor(shape: [1, 3], floats: [4, 5, 6]))
  }

  @Test func seedsDependOnNamesNotOnOrder() {
    let seed = Seed(7)
    #expect(seed.derived("a") == seed.derived("a"))
    #expect(seed.derived("a") != seed.derived("b"))
    #expect(seed.derived(1) != seed.derived(2))
    var generator = seed.generator()
    let numbers = (0..<1000).map { _ in generator.uniform() }
    #expect(numbers.allSatisfy { $0 >= 0 && $0 < 1 })
    #expect(abs(numbers.reduce(0, +) / 1000 - 0.5) < 0.05)
  }

  @Test func filesAppearCompleteOrNotAtAll() throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "out").path
    do {
      let file = try AtomicFile(path)
      try file.write(Data([1, 2, 3]))
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).isEmpty)
    let file = try AtomicFile(path)
    try file.write(Data([1, 2, 3]))
    try file.commit()
    #expect(FileManager.default.contents(atPath: path) == Data([1, 2, 3]))
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["out"])
    #expect(
      throws: FileError.unwritable(path: folder.path, reason: "it is a folder")
    ) {
      _ = try AtomicFile(folder.path)
    }
    #expect(throws: FileError.unwritable(path: "/nowhere/out", reason: "the folder does not exist"))
    {
      _ = try AtomicFile("/nowhere/out")
    }
  }
}
