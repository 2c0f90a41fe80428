/// A data set that is another one but for what it says itself.
package protocol DerivedDataset: Dataset {
  var base: any Dataset { get }
  /// Which example of `base` an example is.
  func origin(of index: Int) -> Int
}

extension DerivedDataset {
  package func origin(of index: Int) -> Int { index }
  package var count: Int { base.count }
  package var inputs: [Field] { base.inputs }
  package var targets: [Field] { base.targets }
  package var classNames: [String] { base.classNames }
  package var imageShape: [Int] { base.imageShape }
  package var isOfAnySize: Bool { base.isOfAnySize }
  package func label(at index: Int) -> Int { base.label(at: origin(of: index)) }

  package func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) throws {
    try base.copyPixels(of: origin(of: index), into: pixels)
  }
  package func copyPixels(
    of index: Int, cropped crop: RandomCrop, into pixels: UnsafeMutablePointer<UInt8>
  ) throws -> Bool {
    try base.copyPixels(of: origin(of: index), cropped: crop, into: pixels)
  }
  package func copyNumbers(of index: Int, into numbers: UnsafeMutablePointer<Float>) throws -> Bool
  {
    try base.copyNumbers(of: origin(of: index), into: numbers)
  }
  package func copyInput(
    _ input: Int, of index: Int, into numbers: UnsafeMutablePointer<Float>
  ) throws {
    try base.copyInput(input, of: origin(of: index), into: numbers)
  }
  package func copyTarget(
    _ target: Int, of index: Int, into numbers: UnsafeMutablePointer<Float>
  ) throws {
    try base.copyTarget(target, of: origin(of: index), into: numbers)
  }
}
