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

  private static func bytes<Number: BitwiseCopyable>(_ numbers: [Number]) -> Data {
    numbers.withUnsafeBytes { Data($0) }
  }

  /// The numbers 1 to 6 as elements of all types.
  static let types: [(descr: String, numbers: Data)] = [
    ("|u1", bytes((1...6).map { UInt8($0) })), ("|i1", bytes((1...6).map { Int8($0) })),
    ("|b1", bytes((1...6).map { UInt8($0) })),
    ("<u2", bytes((1...6).map { UInt16($0).littleEndian })),
    (">i2", bytes((1...6).map { Int16($0).bigEndian })),
    ("<u4", bytes((1...6).map { UInt32($0).littleEndian })),
    (">i4", bytes((1...6).map { Int32($0).bigEndian })),
    ("<u8", bytes((1...6).map { UInt64($0).littleEndian })),
    (">i8", bytes((1...6).map { Int64($0).bigEndian })),
    (
      "<f2",
      bytes([0x3c00, 0x4000, 0x4200, 0x4400, 0x4500, 0x4600].map { UInt16($0).littleEndian })
    ),
    ("<f4", bytes((1...6).map { Float($0).bitPattern.littleEndian })),
    (">f4", bytes((1...6).map { Float($0).bitPattern.bigEndian })),
    ("<f8", bytes((1...6).map { Double($0).bitPattern.littleEndian })),
  ]

  @Test(arguments: types.indices) func numbersOfAllTypesAreRead(_ index: Int) throws {
    let (descr, numbers) = Self.types[index]
    let tensor = try read(file(descr: descr, order: "False", numbers: numbers))
    let isFloat = descr.contains("f")
    #expect(
      tensor
        == (isFloat
          ? Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6])
          : Tensor(shape: [2, 3], integers: [1, 2, 3, 4, 5, 6])))
  }

  @Test(arguments: ["<c8", "<U4", "|O", "<M8", "|V4"])
  func whatIsNoNumberIsRefused(_ descr: String) throws {
    #expect(throws: FileError.self) {
      try read(file(descr: descr, order: "False", numbers: Data(count: 48)))
    }
  }

  /// Sizes whose product, or which themselves, no integer holds.
  @Test(arguments: ["99999999999999999999999, 0", "4294967296, 4294967296, 4", "-1, 2", "2, 3"])
  func impossibleSizesAreRefused(_ shape: String) throws {
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (\(shape)), }\n"
    let file =
      Data([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, UInt8(header.utf8.count), 0])
      + Data(header.utf8)
    #expect(throws: FileError.self) { try read(file) }
  }

  /// The largest integer there is does not overflow.
  @Test func integersBeyondOursAreTheLargest() throws {
    let numbers = Self.bytes([UInt64](repeating: .max, count: 6))
    let tensor = try read(file(descr: "<u8", order: "False", numbers: numbers))
    #expect(tensor.integers.allSatisfy { $0 == .max })
  }

  @Test func columnsFirstIsTurnedAround() throws {
    let floats = [Float(1), 4, 2, 5, 3, 6].withUnsafeBytes { Data($0) }
    #expect(
      try read(file(descr: "<f4", order: "True", numbers: floats))
        == Tensor(shape: [2, 3], floats: [1, 2, 3, 4, 5, 6]))
  }

  private func withArchive(_ names: [String], _ body: (String) throws -> Void) throws {
    let folder = try SharedFiles.makeTemporaryFolder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "x.npz").path
    let tensor = Tensor(shape: [1], floats: [1])
    try NumPyFile.writeArchive(names.map { (name: $0, tensor: tensor) }, to: path)
    try body(path)
  }

  /// Names of any letters come back; those that are not ASCII are marked as UTF-8, in the directory too.
  @Test(arguments: [("x", 0), ("größe", 1 << 11)])
  func namesSayHowTheyAreWritten(_ name: String, _ flags: Int) throws {
    try withArchive([name]) { path in
      let names = try NumPyFile.openArchive(path).map { $0.name }
      #expect(names == [name])
      let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
      let directory = bytes.count - 22 - (46 + "\(name).npy".utf8.count)
      for place in [6, directory + 8] {
        #expect(Int(bytes[place]) | Int(bytes[place + 1]) << 8 == flags)
      }
    }
  }

  @Test func namesThatAreTooLongAreRefused() throws {
    let longest = String(repeating: "q", count: 65_531)
    try withArchive([longest]) { path in
      let names = try NumPyFile.openArchive(path).map { $0.name }
      #expect(names == [longest])
    }
    #expect(throws: FileError.self) { try withArchive([longest + "q"]) { _ in } }
    #expect(throws: FileError.self) {
      try NumPyFile.check([String](repeating: "", count: 65_536), for: "x.npz")
    }
  }

  /// Which of two arrays of one name is meant, nobody can tell.
  @Test func arraysOfOneNameAreRefused() throws {
    try withArchive(["x", "y"]) { path in
      let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
      let changed = bytes.replacing(Array("y.npy".utf8), with: Array("x.npy".utf8))
      try Data(changed).write(to: URL(fileURLWithPath: path))
      let error = #expect(throws: FileError.self) { try NumPyFile.openArchive(path) }
      #expect(error?.problem.contains("more than one array 'x'") ?? false)
    }
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
