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
  private let images: NumPyArray
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
    var arrays: [(name: String, array: NumPyArray)]
    do throws(FileError) {
      arrays =
        file.pathExtension == "npy"
        ? [("", try NumPyFile.open(file.path))] : try NumPyFile.openArchive(file.path)
    } catch {
      throw .file(error)
    }
    func unusable(_ reason: String) -> DataError {
      .undecodable(path: file.path, reason: reason)
    }
    let found =
      arrays.firstIndex { $0.array.shape.count == 4 }
      ?? arrays.firstIndex { $0.array.isFloat && $0.array.shape.count > 1 }
    guard let found, arrays[found].array.count > 0 else {
      throw unusable("it holds no array [N, C, H, W], and none [N, …] of floats")
    }
    images = arrays.remove(at: found).array
    guard images.isFloat || images.lies(in: 0...255) else {
      throw unusable("its integers do not lie in 0...255")
    }
    (count, imageShape) = (images.shape[0], Array(images.shape.dropFirst()))
    if let place = images.firstNonfinite {
      let size = imageShape.product
      throw .notFinite(
        path: file.path, example: place / size, place: imageShape.position(of: place % size))
    }
    labels = try Self.labels(in: arrays, count: count, of: file.path)
    classNames = labels.max().map { (0...$0).map(String.init) } ?? []
  }

  /// What the only other array says; empty where there is none.
  private static func labels(
    in others: [(name: String, array: NumPyArray)], count: Int, of path: String
  ) throws(DataError) -> [Int] {
    guard let (name, array) = others.first else { return [] }
    let text = "\(array.typeName) [\(array.shape.map(String.init).joined(separator: ", "))]"
    guard others.count == 1, !array.isFloat, array.shape == [count] || array.shape == [count, 1]
    else {
      throw .labels(path: path, array: name, found: text, count: count)
    }
    guard array.lies(in: 0...100_000) else {
      throw .undecodable(path: path, reason: "its labels '\(name)' do not count from 0")
    }
    return array.integers(0..<count).map(Int.init)
  }

  package func label(at index: Int) -> Int { labels.isEmpty ? 0 : labels[index] }

  package func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) {
    images.copy(range(of: index), into: pixels)
  }

  package func copyNumbers(of index: Int, into numbers: UnsafeMutablePointer<Float>) -> Bool {
    guard images.isFloat else { return false }
    images.copy(range(of: index), into: numbers)
    return true
  }

  private func range(of index: Int) -> Range<Int> {
    let size = imageShape.product
    return index * size..<(index + 1) * size
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
