import Foundation
import NapData
import NapTensor
import NapTestSupport
import Testing

@Suite struct NumPyFileTests {
  /// `[[1, 2, 3], [4, 5, 6]]` as NumPy writes it.
  private func file(descr: String, order: String, numbers: Data) -> Data {
    var header = "{'descr': '\(descr)', 'fortran_order': \(order), 'shape': (2, 3), }"
    header += String(repeating: " ", count: 117 - header.utf8.count) + "\n"
    return Data([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, 118, 0]) + Data(header.utf8) + numbers
  }

  private func read(_ data: Data) throws -> Tensor {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "x.npy")
    try data.write(to: path)
    return try NumPyFile.read(path.path)
  }

  @Test func numbersOfAllTypesAreRead() throws {
    let bytes = Data([1, 2, 3, 4, 5, 6])
    #expect(
      try read(file(descr: "|u1", order: "False", numbers: bytes))
        == Tensor(shape: [2, 3], integers: [1, 2, 3, 4, 5, 6]))
    let doubles = [1.0, 2, 3, 4, 5, 6].withUnsafeBytes { Data($0) }
    #expect(
      try read(file(descr: "<f8", order: "False", numbers: doubles))
        == Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6]))
  }

  @Test func columnsFirstIsTurnedAround() throws {
    let floats = [Float(1), 4, 2, 5, 3, 6].withUnsafeBytes { Data($0) }
    #expect(
      try read(file(descr: "<f4", order: "True", numbers: floats))
        == Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6]))
  }

  @Test func truncatedFilesAreRefused() throws {
    let whole = file(descr: "|u1", order: "False", numbers: Data([1, 2, 3, 4, 5, 6]))
    for length in 0..<whole.count {
      #expect(throws: FileError.self) { try read(whole.prefix(length)) }
    }
    #expect(throws: FileError.self) { try read(whole + [0]) }
    #expect(throws: FileError.self) { try NumPyFile.read("/nowhere.npy") }
  }
}
