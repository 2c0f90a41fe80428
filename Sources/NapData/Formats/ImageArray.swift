package import Foundation
import NapTensor

/// Images in a NumPy file, `.npy` or `.npz`: an array `[N, C, H, W]` of bytes, or one of floats that the
/// network takes as they are, which may be anything else too, such as sounds `[N, 1, L]`.
///
/// An archive may hold labels too, as a second array of `N` integers; without, the images are for
/// training only.
package struct ImageArray: DatasetFormat, Dataset {
  package static let name = "NumPy files of images"

  package let classNames: [String]
  package let imageShape: [Int]
  package let count: Int
  /// Of all images; one of the two is empty.
  private let bytes: [UInt8]
  private let floats: [Float]
  private let labels: [Int]

  package static func recognizes(_ file: URL) -> Bool {
    ["npy", "npz"].contains(file.pathExtension)
      && FileManager.default.fileExists(atPath: file.path)
  }

  package static func open(_ file: URL, split: Split, imageSize: (height: Int, width: Int)?)
    throws(DataError) -> any Dataset
  {
    let data = try ImageArray(file)
    guard split == .train || data.isLabelled else {
      throw .noSplit(path: file.path, split: split.rawValue)
    }
    return data
  }

  init(_ file: URL) throws(DataError) {
    let arrays: [Tensor]
    do throws(FileError) {
      arrays =
        file.pathExtension == "npy"
        ? [try NumPyFile.read(file.path)] : try NumPyFile.readArchive(file.path).map(\.tensor)
    } catch {
      throw .unreadable(path: file.path, reason: error.problem)
    }
    let found =
      arrays.first { $0.shape.count == 4 } ?? arrays.first { $0.isFloat && $0.shape.count > 1 }
    guard let images = found, images.count > 0 else {
      throw .undecodable(
        path: file.path,
        reason: "it holds no array [N, C, H, W], and none [N, …] of floats")
    }
    guard images.isFloat || images.integers.allSatisfy({ (0...255).contains($0) }) else {
      throw .undecodable(path: file.path, reason: "its integers do not lie in 0...255")
    }
    bytes = images.isFloat ? [] : images.integers.map { UInt8($0) }
    floats = images.isFloat ? images.floats : []
    imageShape = Array(images.shape.dropFirst())
    let count = images.shape[0]
    self.count = count
    if let place = floats.firstIndex(where: { !$0.isFinite }) {
      let size = imageShape.product
      throw .notFinite(
        path: file.path, example: place / size, place: imageShape.position(of: place % size))
    }
    let given = arrays.first { !$0.isFloat && $0.shape == [count] }
    labels = given?.integers.map(Int.init) ?? []
    guard labels.allSatisfy({ (0..<100_000).contains($0) }) else {
      throw .undecodable(path: file.path, reason: "its labels do not count from 0")
    }
    classNames = labels.max().map { (0...$0).map(String.init) } ?? []
  }

  package func label(at index: Int) -> Int { labels.isEmpty ? 0 : labels[index] }

  package func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) {
    copy(bytes, index, into: pixels)
  }

  package func copyNumbers(of index: Int, into numbers: UnsafeMutablePointer<Float>) -> Bool {
    guard !floats.isEmpty else { return false }
    copy(floats, index, into: numbers)
    return true
  }

  private func copy<T>(_ source: [T], _ index: Int, into target: UnsafeMutablePointer<T>) {
    let size = imageShape.product
    source.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { target.update(from: base + index * size, count: size) }
    }
  }
}

extension [Int] {
  /// The indices along the axes of a shape of an element that is counted row by row.
  fileprivate func position(of element: Int) -> [Int] {
    var (rest, result) = (element, self)
    for axis in indices.reversed() {
      result[axis] = rest % self[axis]
      rest /= self[axis]
    }
    return result
  }
}
