package import NapTensor

/// Examples that can be read in any order, with or without targets.
///
/// Every example has one or several inputs and any number of targets. Images are one kind of input: kept as
/// bytes, and turned into numbers by a preparation.
package protocol Dataset: Sendable {
  var count: Int { get }
  /// What every example has, in the order of the network's inputs.
  var inputs: [Field] { get }
  /// What is to be learned of every example; empty where nobody says.
  var targets: [Field] { get }
  /// Empty where the examples have no class each.
  var classNames: [String] { get }
  /// Of the first input: channels, height and width of images.
  var imageShape: [Int] { get }
  /// Whether `imageShape` is a choice: images are brought to any size that is wanted.
  var isOfAnySize: Bool { get }
  /// The class of an example, in `0..<classNames.count`; 0 where there are none.
  func label(at index: Int) -> Int
  /// Writes one image as bytes, channel by channel.
  /// - Throws: `DataError` when a file that is read on demand cannot be decoded.
  func copyPixels(of index: Int, into pixels: UnsafeMutablePointer<UInt8>) throws
  /// Writes a part of one image, brought to the image's size.
  /// - Returns: `false` where images are of one size, and are not cut up.
  func copyPixels(
    of index: Int, cropped crop: RandomCrop, into pixels: UnsafeMutablePointer<UInt8>
  ) throws -> Bool
  /// Writes one image as the numbers that the network takes, where it is kept as such.
  /// - Returns: `false` where images are bytes.
  func copyNumbers(of index: Int, into numbers: UnsafeMutablePointer<Float>) throws -> Bool
  /// Writes one of the inputs behind the first.
  /// - Throws: what makes it impossible to read the example, as all of these.
  func copyInput(_ input: Int, of index: Int, into numbers: UnsafeMutablePointer<Float>) throws
  /// Writes one of the targets; classes as whole numbers.
  func copyTarget(_ target: Int, of index: Int, into numbers: UnsafeMutablePointer<Float>) throws
}

extension Dataset {
  package var isLabelled: Bool { !targets.isEmpty }
  package var inputs: [Field] { [Field(shape: imageShape)] }
  package var targets: [Field] {
    classNames.isEmpty
      ? []
      : [
        Field(
          name: "class", shape: [], isInteger: true, range: 0...Float(classNames.count - 1),
          classes: classNames.count)
      ]
  }
  package var isOfAnySize: Bool { false }
  package func copyPixels(
    of index: Int, cropped crop: RandomCrop, into pixels: UnsafeMutablePointer<UInt8>
  ) -> Bool {
    false
  }
  package func copyNumbers(of index: Int, into numbers: UnsafeMutablePointer<Float>) throws -> Bool
  {
    false
  }
  package func copyInput(_ input: Int, of index: Int, into numbers: UnsafeMutablePointer<Float>)
    throws
  {
    preconditionFailure("there is only one input")
  }
  package func copyTarget(_ target: Int, of index: Int, into numbers: UnsafeMutablePointer<Float>)
    throws
  {
    numbers[0] = Float(label(at: index))
  }
}

/// Some examples of another data set.
package struct Subset: DerivedDataset {
  package let base: any Dataset
  package let indices: [Int]

  package init(_ base: any Dataset, indices: [Int]) {
    self.base = base
    self.indices = indices
  }

  package var count: Int { indices.count }
  package func origin(of index: Int) -> Int { indices[index] }
}

/// The examples of another data set, without their targets.
package struct Unlabelled: DerivedDataset {
  package let base: any Dataset

  package init(_ base: any Dataset) { self.base = base }

  package let targets: [Field] = []
  package let classNames: [String] = []
  package func label(at index: Int) -> Int { 0 }
}

extension Subset {
  /// With the images of another subset, in the order of the whole.
  ///
  /// The other one may be of this subset's own base, or of a subset of it.
  package func joined(with other: Subset) -> Subset {
    let others = (other.base as? Subset).map { base in other.indices.map { base.indices[$0] } }
    return Subset(base, indices: (indices + (others ?? other.indices)).sorted())
  }
}

extension Dataset {
  /// Two disjoint parts with the classes in equal shares: the rest, and `count` held-out images.
  ///
  /// The same seed gives the same parts.
  package func split(holdingOut count: Int, seed: Seed) -> (rest: Subset, heldOut: Subset) {
    var byClass = [[Int]](repeating: [], count: max(1, classNames.count))
    for index in 0..<self.count { byClass[label(at: index)].append(index) }
    var held: Set<Int> = []
    for (label, indices) in byClass.enumerated() where !indices.isEmpty {
      var generator = seed.derived("split").derived(label).generator()
      let share = Int(
        (Double(count) * Double(indices.count) / Double(max(1, self.count))).rounded())
      held.formUnion(indices.shuffled(using: &generator).prefix(share))
    }
    return (
      Subset(self, indices: (0..<self.count).filter { !held.contains($0) }),
      Subset(self, indices: held.sorted())
    )
  }
}
