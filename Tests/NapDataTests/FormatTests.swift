import Foundation
import NapData
import NapTensor
import NapTestSupport
import Testing

/// What holds for every format of data.
@Suite struct FormatTests {
  /// A small data set of one format: its files by name, and how many training images they hold.
  struct Fixture: Sendable, CustomTestStringConvertible {
    var format: String
    var files: [String: Data]
    var count: Int
    var imageShape: [Int]
    var testDescription: String { format }
  }

  static let fixtures: [Fixture] = [
    Fixture(
      format: CIFAR10.name,
      files: ["data_batch_1.bin": cifarRecords],
      count: 3, imageShape: [3, 32, 32]),
    Fixture(
      format: IDX.name,
      files: [
        "train-images-idx3-ubyte": idxImages,
        "train-labels-idx1-ubyte": Data([0, 0, 8, 1, 0, 0, 0, 2, 5, 1]),
      ], count: 2, imageShape: [1, 3, 4]),
    Fixture(
      format: ImageFolder.name,
      files: ["train/cat/a.png": png, "train/dog/b.png": png, "train/dog/c.png": png],
      count: 3, imageShape: [3, 2, 2]),
    Fixture(
      format: Arrays.name, files: ["images.npz": archive], count: 2, imageShape: [1, 2, 3]),
    Fixture(
      format: IDX.name,
      files: [
        "train-images-idx3-ubyte.gz": base64("H4sIAAAAAAACA2Ng4GBmYGBgAmIQzcKKAwAAiw6rrCgAAAA="),
        "train-labels-idx1-ubyte.gz": base64("H4sIAAAAAAACA2Ng4GBkYGBgYmUEAMpo7J8KAAAA"),
      ], count: 2, imageShape: [1, 3, 4]),
  ]

  private static func base64(_ text: String) -> Data { Data(base64Encoded: text) ?? Data() }

  private static let images = Tensor(shape: [2, 1, 2, 3], integers: (0..<12).map { $0 })
  static let archive = archive([("images", images)])

  private static func archive(_ arrays: [(name: String, tensor: Tensor)]) -> Data {
    let path = FileManager.default.temporaryDirectory.appending(path: "\(UUID()).npz").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try? NumPyFile.writeArchive(arrays, to: path)
    return FileManager.default.contents(atPath: path) ?? Data()
  }

  static let cifarRecords: Data = {
    var bytes = [UInt8](repeating: 9, count: 3 * 3073)
    for record in 0..<3 { bytes[record * 3073] = UInt8(record) }
    return Data(bytes)
  }()

  static let idxImages: Data = {
    let header: [UInt8] = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]
    return Data(header + [UInt8](repeating: 5, count: 24))
  }()

  /// 2 x 2 pixels: red, green, blue, white.
  static let png = base64(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEklEQVR4nGP4z8DAAMIM/4EAAB/uBfsL2WiLAAAAAElFTkSuQmCC"
  )

  private func folder(_ files: [String: Data]) throws -> URL {
    let folder = try SharedFiles.makeTemporaryFolder()
    for (name, data) in files {
      let file = folder.appending(path: name)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try data.write(to: file)
    }
    return folder
  }

  @Test func everyFormatHasAFixture() {
    #expect(Set(Datasets.formats.map { $0.name }) == Set(Self.fixtures.map(\.format)))
  }

  @Test(arguments: fixtures)
  func countsAndShapesAreRight(_ fixture: Fixture) throws {
    let folder = try folder(fixture.files)
    defer { try? FileManager.default.removeItem(at: folder) }
    let data = try Datasets.open(folder.path, split: .train)
    #expect(data.count == fixture.count)
    #expect(data.imageShape == fixture.imageShape)
    #expect((0..<data.count).allSatisfy { data.label(at: $0) < max(1, data.classNames.count) })
    #expect(throws: DataError.self) { try Datasets.open(folder.path, split: .test) }
  }

  /// Every truncated prefix throws a typed error, when it is opened or when it is read.
  @Test(arguments: fixtures)
  func truncatedFilesAreRefused(_ fixture: Fixture) throws {
    for (name, data) in fixture.files {
      let step = max(1, data.count / 60)
      for length in stride(from: 0, to: data.count, by: step) where !isComplete(data, length) {
        var files = fixture.files
        files[name] = data.prefix(length)
        let folder = try folder(files)
        defer { try? FileManager.default.removeItem(at: folder) }
        #expect(throws: DataError.self, "\(name), \(length) bytes") {
          let set = try Datasets.open(folder.path, split: .train)
          var pixels = [UInt8](repeating: 0, count: set.imageShape.product)
          for index in 0..<set.count { try set.copyPixels(of: index, into: &pixels) }
        }
      }
    }
  }

  /// Whole records of CIFAR-10 are a file.
  private func isComplete(_ data: Data, _ length: Int) -> Bool {
    data.count % 3073 == 0 && length > 0 && length % 3073 == 0
  }

  @Test func missingAndStrangeFoldersAreNamed() throws {
    #expect(throws: DataError.missing(path: "/nowhere")) {
      try Datasets.open("/nowhere", split: .train)
    }
    let folder = try folder(["notes.txt": Data()])
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect(throws: DataError.unrecognized(path: folder.path)) {
      try Datasets.open(folder.path, split: .train)
    }
  }

  @Test func pngPixelsAreReadAsPlanes() throws {
    let folder = try folder(Self.fixtures[2].files)
    defer { try? FileManager.default.removeItem(at: folder) }
    let data = try Datasets.open(folder.path, split: .train)
    var pixels = [UInt8](repeating: 7, count: 12)
    try data.copyPixels(of: 0, into: &pixels)
    #expect(pixels == [255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255])
  }

  @Test func imagesWithoutLabelsAreRead() throws {
    let folder = try folder(["a.png": Self.png, "b.png": Self.png])
    defer { try? FileManager.default.removeItem(at: folder) }
    let data = try Datasets.open(folder.path, split: .train)
    #expect(!data.isLabelled && data.count == 2 && data.imageShape == [3, 2, 2])
  }

  @Test func arraysMayHaveLabelsAndBeCompressed() throws {
    // numpy.savez_compressed(file, x=numpy.arange(8, dtype="f4").reshape(2, 1, 2, 2), y=[3, 1])
    let compressed = try #require(Data(base64Encoded: Self.compressed))
    let folder = try folder(["images.npz": compressed])
    defer { try? FileManager.default.removeItem(at: folder) }
    let data = try Datasets.open(folder.appending(path: "images.npz").path, split: .train)
    #expect(data.classNames.count == 4 && data.label(at: 0) == 3)
    var numbers = [Float](repeating: 0, count: 4)
    let areNumbers = try data.copyNumbers(of: 1, into: &numbers)
    #expect(areNumbers)
    #expect(numbers == [4, 5, 6, 7])
  }

  static let compressed =
    "UEsDBC0AAAAIAAAAIQAA3Ut0//////////8FABQAeC5ucHkBABAAoAAAAAAAAABfAAAAAAAAAJvsF+obEMnIUMZQ"
    + "rZ6SWpxcpG6loG6TZqKuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6CoY6CkDSSFNHoVaBDMDFAAYN"
    + "9kDCAYiAuAGIFwDxASB+4AAAUEsDBC0AAAAIAAAAIQCM3jPg//////////8FABQAeS5ucHkBABAAkAAAAAAAAABK"
    + "AAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loG6TaaGuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6"
    + "mjoKtQoUAC5mBghghNIAUEsBAi0DLQAAAAgAAAAhAADdS3RfAAAAoAAAAAUAAAAAAAAAAAAAAIABAAAAAHgubnB5"
    + "UEsBAi0DLQAAAAgAAAAhAIzeM+BKAAAAkAAAAAUAAAAAAAAAAAAAAIABlgAAAHkubnB5UEsFBgAAAAACAAIAZgAA"
    + "ABcBAAAAAA=="

  /// Where names say of which split arrays are, targets that do not say it are not left out without a word.
  @Test(arguments: ["y", "labels", "y_test"])
  func targetsBelongToASplit(_ name: String) throws {
    let labels = Tensor(shape: [2], integers: [0, 1])
    var arrays = [("images_train", Self.images), (name, labels), ("size", Tensor([3]))]
    let folder = try folder(["images.npz": Self.archive(arrays)])
    defer { try? FileManager.default.removeItem(at: folder) }
    // Beside targets, all else may be anything, such as what examples count.
    arrays.append(("labels_train", labels))
    let whole = try self.folder(["images.npz": Self.archive(arrays)])
    defer { try? FileManager.default.removeItem(at: whole) }
    #expect(try Datasets.open(whole.path, split: .train).targets.map(\.name) == ["labels"])
    let result = Result { try Datasets.open(folder.path, split: .train) }
    switch result {
    case .success(let data): #expect(name == "y_test" && data.targets.isEmpty)
    case .failure(let error as DataError):
      #expect(name != "y_test" && error.problem.contains("'\(name)'"))
      #expect(error.recovery == "name it with _train, or leave it out")
    case .failure(let error): throw error
    }
  }

  /// What may come beside images: classes, other targets, or nothing that could be one.
  @Test(arguments: [
    ("column", Tensor(shape: [2, 1], integers: [1, 0]), true, 2),
    ("floats", Tensor(shape: [2], floats: [0, 1]), true, 0),
    ("few", Tensor(shape: [1], integers: [0]), false, 0),
    ("onehot", Tensor(shape: [2, 2], integers: [0, 1, 1, 0]), true, 0),
    ("negative", Tensor(shape: [2], integers: [0, -1]), true, 0),
    ("huge", Tensor(shape: [2], integers: [0, 1 << 40]), false, 0),
    ("nothing", Tensor(shape: [2], floats: [0, .nan]), false, 0),
  ])
  func targetsAreRightOrRefused(
    _ name: String, _ labels: Tensor, _ areRight: Bool, _ classes: Int
  ) throws {
    let file = Self.archive([("images", Self.images), (name, labels)])
    let folder = try folder(["images.npz": file])
    defer { try? FileManager.default.removeItem(at: folder) }
    let result = Result { try Datasets.open(folder.path, split: .train) }
    switch result {
    case .success(let data):
      #expect(areRight && data.targets.map(\.name) == [name] && data.classNames.count == classes)
      if classes > 0 { #expect(data.label(at: 0) == 1) }
      var numbers = [Float](repeating: -9, count: labels.count / 2)
      try data.copyTarget(0, of: 1, into: &numbers)
      let all = labels.isFloat ? labels.floats : labels.integers.map(Float.init)
      #expect(numbers == Array(all.suffix(numbers.count)))
    case .failure(let error as DataError): #expect(!areRight && error.problem.contains(name))
    case .failure(let error): throw error
    }
  }

  /// Classes count by name: what is learned of a class is asked of the same one.
  @Test func splitsHaveTheSameClasses() throws {
    var files = Self.fixtures[2].files
    files["train/ape/d.png"] = Self.png
    files["test/dog/a.png"] = Self.png
    let few = try folder(files)
    defer { try? FileManager.default.removeItem(at: few) }
    let test = try Datasets.open(few.path, split: .test)
    #expect(test.classNames == ["ape", "cat", "dog"] && test.label(at: 0) == 2)
    files["test/zebra/a.png"] = Self.png
    let strange = try folder(files)
    defer { try? FileManager.default.removeItem(at: strange) }
    let error = #expect(throws: DataError.self) { try Datasets.open(strange.path, split: .test) }
    #expect(error?.problem.contains("zebra") == true)
  }

  /// Headers that ask for more than there is, whatever they say.
  @Test(
    arguments: [[0xff, 0xff, 0xff, 0xff], [0, 0, 0, 2], [0x7f, 0xff, 0xff, 0xff]] as [[UInt8]])
  func impossibleSizesAreRefused(_ size: [UInt8]) throws {
    var images = Self.idxImages
    for axis in 0..<3 { images.replaceSubrange(4 + 4 * axis..<8 + 4 * axis, with: size) }
    let folder = try folder([
      "train-images-idx3-ubyte": images,
      "train-labels-idx1-ubyte": Data([0, 0, 8, 1] + size + [5, 1]),
    ])
    defer { try? FileManager.default.removeItem(at: folder) }
    #expect(throws: DataError.self) { try Datasets.open(folder.path, split: .train) }
  }

  @Test(arguments: [Float.nan, .infinity, -.infinity])
  func examplesThatAreNotFiniteAreNamed(_ number: Float) throws {
    var x = Tensor(shape: [3, 1, 2, 2], repeating: 0.5)
    x.floats[6] = number
    let folder = try folder([:])
    defer { try? FileManager.default.removeItem(at: folder) }
    let path = folder.appending(path: "x.npz").path
    try NumPyFile.writeArchive([("x", x)], to: path)
    #expect(throws: DataError.notFinite(path: "\(path):x", example: 1, place: [0, 1, 0])) {
      try Datasets.open(path, split: .train)
    }
  }

  /// An array of bytes is not made four times as large.
  @Test func bytesStayBytes() throws {
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1, 2, 2), }\n"
    let file =
      Data([0x93]) + Data("NUMPY".utf8) + Data([1, 0, UInt8(header.utf8.count), 0])
      + Data(header.utf8) + Data(0..<8)
    let folder = try folder(["x.npy": file])
    defer { try? FileManager.default.removeItem(at: folder) }
    let data = try Datasets.open(folder.appending(path: "x.npy").path, split: .train)
    var (numbers, pixels) = ([Float](repeating: -1, count: 4), [UInt8](repeating: 0, count: 4))
    let areNumbers = try data.copyNumbers(of: 1, into: &numbers)
    #expect(!areNumbers && numbers == [-1, -1, -1, -1])
    try data.copyPixels(of: 1, into: &pixels)
    #expect(pixels == [4, 5, 6, 7])
  }

  @Test func heldOutImagesAreDisjointAndBalanced() {
    let data = SyntheticDataset(count: 1000, split: .train)
    let (rest, heldOut) = data.split(holdingOut: 100, seed: Seed(1))
    #expect(heldOut.count == 100 && rest.count == 900)
    #expect(Set(rest.indices).isDisjoint(with: heldOut.indices))
    for label in 0..<10 { #expect((0..<100).filter { heldOut.label(at: $0) == label }.count == 10) }
    #expect(data.split(holdingOut: 100, seed: Seed(1)).heldOut.indices == heldOut.indices)
  }
}
