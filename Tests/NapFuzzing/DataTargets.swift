import Foundation
import NapData
import NapTensor

extension FuzzTarget {
  static let numPy = FuzzTarget(name: "npy", seeds: ArrayFile.seeds) { bytes, folder in
    _ = try NumPyFile.read(folder.file("x.npy", bytes))
  }

  static let numPyArchive = FuzzTarget(name: "npz", seeds: ArrayFile.archives) { bytes, folder in
    for (_, array) in try NumPyFile.openArchive(folder.file("x.npz", bytes)) { _ = array.tensor }
  }

  /// An archive as data to learn from.
  static let arrays = FuzzTarget(name: "arrays", seeds: ArrayFile.archives) { bytes, folder in
    try readData(folder.file("x.npz", bytes))
  }

  /// Images, their labels behind them; whether either is compressed, and how long the images are, before
  /// them.
  static let idx = FuzzTarget(name: "idx", seeds: IDXFiles.seeds) { bytes, folder in
    guard let (flags, images, labels) = bytes.parts else { return }
    func ending(_ bit: UInt8) -> String { flags & bit == 0 ? "" : ".gz" }
    _ = try folder.file("train-images-idx3-ubyte\(ending(1))", images)
    _ = try folder.file("train-labels-idx1-ubyte\(ending(2))", labels)
    try readData(folder.path)
  }

  static let cifar10 = FuzzTarget(name: "cifar10", seeds: { [Data(count: 3073)] }) {
    bytes, folder in
    _ = try folder.file("data_batch_1.bin", bytes)
    try readData(folder.path)
  }

  /// A folder of one class with one image, JPEG or PNG by its bytes.
  static let image = FuzzTarget(name: "image", seeds: { [] }) { bytes, folder in
    let images = folder.appending(path: "train/a")
    try FileManager.default.createDirectory(at: images, withIntermediateDirectories: true)
    _ = try images.file(bytes.first == 0x89 ? "x.png" : "x.jpg", bytes)
    try readData(folder.path)
  }

  /// Opens data and looks at the first examples and the last.
  @Sendable private static func readData(_ path: String) throws {
    let data = try Datasets.open(
      path, split: .train, for: DataRequest(fit: ImageFit(height: 8, width: 8)))
    var numbers = [Float](repeating: 0, count: data.imageShape.product)
    var pixels = [UInt8](repeating: 0, count: data.imageShape.product)
    for index in Set([0, 1, data.count - 1]) where data.count > index {
      _ = data.label(at: index)
      if try !data.copyNumbers(of: index, into: &numbers) {
        try data.copyPixels(of: index, into: &pixels)
      }
    }
  }
}

private enum ArrayFile {
  private static let tensors = [
    Tensor(shape: [3, 1, 2, 2], floats: (0..<12).map { Float($0) / 12 }),
    Tensor([0, 1, 2]), Tensor(shape: [2, 5], floats: (0..<10).map { Float($0) }),
    Tensor(shape: [], floats: [1]), Tensor(shape: [0, 4], floats: []),
  ]

  @Sendable static func seeds() throws -> [Data] {
    try tensors.map { tensor in
      try bytes { try NumPyFile.write(tensor, to: $0) }
    }
  }

  @Sendable static func archives() throws -> [Data] {
    try [[0, 1], [0], [2, 1], [3, 4]].map { indices in
      let arrays = indices.map { (name: "a\($0)", tensor: tensors[$0]) }
      return try bytes { try NumPyFile.writeArchive(arrays, to: $0) }
    }
  }

  private static func bytes(_ write: (String) throws -> Void) throws -> Data {
    let file = FileManager.default.temporaryDirectory.appending(path: "nap-seed-\(UUID())")
    defer { try? FileManager.default.removeItem(at: file) }
    try write(file.path)
    return try Data(contentsOf: file)
  }
}

private enum IDXFiles {
  @Sendable static func seeds() -> [Data] {
    let images = Data([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4]) + Data(0..<24)
    let labels = Data([0, 0, 8, 1, 0, 0, 0, 2, 1, 0])
    return (0..<4).map { Data([$0, UInt8(images.count), 0]) + images + labels }
  }
}

extension Data {
  /// The first byte, as many bytes as the next two say, and the rest.
  fileprivate var parts: (flags: UInt8, first: Data, second: Data)? {
    let bytes = [UInt8](self)
    guard bytes.count > 3 else { return nil }
    let count = Swift.min(Int(bytes[1]) | Int(bytes[2]) << 8, bytes.count - 3)
    return (bytes[0], Data(bytes[3..<3 + count]), Data(bytes[(3 + count)...]))
  }
}
