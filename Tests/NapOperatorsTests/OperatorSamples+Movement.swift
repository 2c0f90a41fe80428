import NapGraph
import NapOperators
import NapTensor

extension OperatorSample {
  static let movement = joining + gathering + resizing + padding + reshaping + slicing + reordering

  private static let joining = [
    OperatorSample(
      "channels", Concat(axis: 1),
      [.random([2, 3, 2, 2]), .random([2, 4, 2, 2], seed: 1), .random([2, 1, 2, 2], seed: 2)]),
    OperatorSample(
      "the last axis", Concat(axis: -1), [.random([2, 3]), .random([2, 2], seed: 1)]),
    OperatorSample("one input", Concat(axis: 0), [.random([3, 2])]),
    OperatorSample("integers", Concat(axis: 0), [Tensor([2]), Tensor([3, 4])]),
    OperatorSample(
      "channels", Split(axis: 1, sizes: [2, 1, 3]), [.random([2, 6, 2])], outputCount: 3),
    OperatorSample(
      "the last axis", Split(axis: -1, sizes: [2, 3]), [.random([2, 5])], outputCount: 2),
  ]

  private static let gathering = [
    OperatorSample(
      "one index", Gather(axis: 1, indices: [-2], indexShape: []), [.random([2, 4, 3])]),
    OperatorSample("some channels", Gather(axis: 1, indices: [3, 0, -2]), [.random([2, 4, 3])]),
    OperatorSample("repeated", Gather(axis: -1, indices: [1, 1, 0]), [.random([2, 3])]),
    OperatorSample(
      "a table of indices", Gather(axis: 0, indices: [0, 2, 1, 2], indexShape: [2, 2]),
      [.random([3, 2])]),
    OperatorSample("integers", Gather(axis: 0, indices: [1]), [Tensor([5, 6])]),
    OperatorSample(
      "tokens", Embedding(),
      [.random([5, 3]), Tensor(shape: [2, 4], floats: [0, 4, 4, 2, -1, 1, 0, 3])],
      constantInputs: [0], differentiable: [0]),
    OperatorSample("leading axes", Expand(target: [3, 1, 4]), [.random([2, 1])]),
    OperatorSample("one axis", Expand(target: [2, 3]), [.random([2, 1])]),
    OperatorSample("both axes", Tile(repeats: [1, 2, 3]), [.random([2, 3, 1])]),
    OperatorSample("integers", Tile(repeats: [2]), [Tensor([5, 6])]),
    OperatorSample("depth first", DepthToSpace(blockSize: 2), [.random([2, 8, 2, 3])]),
    OperatorSample(
      "columns first", DepthToSpace(blockSize: 2, isColumnRowDepth: true), [.random([1, 8, 2, 3])]),
    OperatorSample("blocks", SpaceToDepth(blockSize: 2), [.random([2, 3, 4, 2])]),
  ]

  private static let resizing = [
    OperatorSample(
      "nearest",
      Resize(axes: [2, 3], to: .scales([2, 1.5]), coordinates: .asymmetric, rounding: .floor),
      [.random([1, 2, 3, 4])]),
    OperatorSample(
      "nearest, half pixels", Resize(axes: [2], to: .sizes([7])), [.random([1, 2, 3])]),
    OperatorSample(
      "linear", Resize(axes: [2, 3], to: .sizes([5, 2]), mode: .linear), [.random([1, 2, 3, 4])]),
    OperatorSample(
      "aligned",
      Resize(axes: [2, 3], to: .scales([2, 2]), mode: .linear, coordinates: .alignCorners),
      [.random([1, 1, 3, 2])]),
    OperatorSample(
      "cubic", Resize(axes: [2], to: .sizes([6]), mode: .cubic, coordinates: .pytorchHalfPixel),
      [.random([1, 2, 4])]),
  ]

  private static let padding = [
    OperatorSample(
      "channels", Pad(before: [0, 2, 0, 0], after: [0, 3, 0, 0]), [.random([2, 3, 2, 2])]),
    OperatorSample(
      "pixels", Pad(before: [0, 0, 1, 0], after: [0, 0, 2, 1], value: -1.5),
      [.random([2, 3, 2, 2])]),
    OperatorSample("nothing", Pad(before: [0, 0], after: [0, 0]), [.random([2, 3])]),
    OperatorSample(
      "pixels reflected", Pad(before: [0, 0, 2, 0], after: [0, 0, 1, 3], mode: .reflect),
      [.random([2, 2, 3, 4])]),
    OperatorSample(
      "channels and batch reflected", Pad(before: [1, 0], after: [1, 3], mode: .reflect),
      [.random([2, 5])]),
    OperatorSample(
      "pixels at the edge", Pad(before: [0, 0, 2, 0], after: [0, 0, 1, 3], mode: .edge),
      [.random([2, 2, 3, 1])]),
    OperatorSample(
      "the batch at the edge", Pad(before: [3, 0], after: [2, 1], mode: .edge), [.random([3, 2])]),
    OperatorSample(
      "pixels wrapped", Pad(before: [0, 0, 2, 0], after: [0, 0, 1, 3], mode: .wrap),
      [.random([2, 2, 3, 4])]),
    OperatorSample(
      "wrapped more than once", Pad(before: [4, 0], after: [0, 5], mode: .wrap),
      [.random([3, 2])]),
    OperatorSample("integers", Pad(before: [2], after: [1], mode: .reflect), [Tensor([5, 6, 7])]),
  ]

  private static let reshaping = [
    OperatorSample("channels and pixels", Flatten(), [.random([2, 3, 2, 2])]),
    OperatorSample("the last axis", Flatten(axis: -1), [.random([2, 3, 4])]),
    OperatorSample("everything", Flatten(axis: 0), [.random([1, 3, 4])]),
    OperatorSample("into a column", Flatten(axis: 2), [.random([2, 3])]),
    OperatorSample("channels and pixels", Reshape(target: [0, -1]), [.random([2, 3, 2, 2])]),
    OperatorSample("into heads", Reshape(target: [0, 0, 3, -1]), [.random([2, 4, 6])]),
    OperatorSample("heads together", Reshape(target: [0, 0, -1]), [.random([2, 4, 3, 2])]),
    OperatorSample("an explicit target", Reshape(target: [2, 12]), [.random([2, 3, 4])]),
    OperatorSample("the batch is left", Reshape(target: [-1, 4, 2]), [.random([3, 8])]),
    OperatorSample("size 1 appears", Reshape(target: [0, 3, 1, 4]), [.random([2, 12])]),
    OperatorSample("size 1 disappears", Reshape(target: [2, 3]), [.random([2, 3, 1, 1])]),
    OperatorSample("size 1 moves", Reshape(target: [3, 1, 4]), [.random([1, 3, 4])]),
    OperatorSample("regrouped", Reshape(target: [3, 4]), [.random([2, 6])], isRigid: true),
    OperatorSample("partly regrouped", Reshape(target: [0, 3, 4]), [.random([5, 2, 6])]),
    OperatorSample("into a scalar", Reshape(target: []), [.random([1, 1])], isRigid: true),
    OperatorSample(
      "into a common box", Reshape(target: [4, 3], allowsZero: true), [.random([2, 6])]),
    OperatorSample("pixels", Squeeze(axes: [2, 3]), [.random([2, 3, 1, 1])]),
    OperatorSample("from the end", Squeeze(axes: [-2]), [.random([2, 1, 3])]),
    OperatorSample("pixels", Unsqueeze(axes: [2, 3]), [.random([2, 3])]),
    OperatorSample("from the end, unordered", Unsqueeze(axes: [-1, 0]), [.random([2, 3])]),
    OperatorSample("integers", Unsqueeze(axes: [0]), [Tensor([3, 4])]),
  ]

  private static func slice(_ name: String, _ shape: [Int], _ ranges: Slice.Range...)
    -> OperatorSample
  {
    OperatorSample(name, Slice(ranges), [.random(shape)])
  }

  private static let slicing = [
    slice("the middle", [2, 7, 3], .init(axis: 1, start: 2, end: 5)),
    slice("up to the end", [2, 7], .init(axis: 1, start: -3, end: .max)),
    slice("all but the last", [2, 7], .init(axis: -1, start: 0, end: -1)),
    slice("everything", [2, 3], .init(axis: 1, start: 0, end: .max)),
    slice("backward", [2, 7], .init(axis: 1, start: 5, end: 1, step: -1)),
    slice("backward to the start", [2, 7], .init(axis: 1, start: -1, end: .min, step: -1)),
    slice("every other", [3, 7], .init(axis: 1, start: 1, end: 7, step: 2)),
    slice("backward in threes", [3, 7], .init(axis: 1, start: -1, end: .min, step: -3)),
    slice(
      "pixels and channels", [2, 4, 6, 5], .init(axis: 2, start: 0, end: .max, step: 2),
      .init(axis: 3, start: 0, end: .max, step: 2), .init(axis: 1, start: 1, end: 3)),
    slice("one step beyond", [2, 5], .init(axis: 1, start: 1, end: .max, step: .max)),
  ]

  private static let reordering = [
    OperatorSample(
      "channels last", Transpose(permutation: [0, 2, 3, 1]), [.random([2, 3, 2, 4])]),
    OperatorSample("reversed", Transpose(permutation: [2, 1, 0]), [.random([2, 3, 4])]),
  ]
}
