import NapGraph
import NapTensor

extension IndexLinks {
  /// An input and an output of the same shape correspond index by index.
  mutating func uniteAxes(ofInput input: Int = 0, andOutput output: Int = 0) {
    for axis in inputShapes[input].indices {
      unite(.input(input, axis: axis), .output(output, axis: axis))
    }
  }

  /// Two axes correspond where they overlap when the first is shifted by `offset`.
  mutating func unite(_ a: Axis, _ b: Axis, offset: Int) {
    for i in 0..<size(a) where (0..<size(b)).contains(i + offset) { unite(a, i, b, i + offset) }
  }

  /// Input 0 and output 0 hold the same elements in the same order under different shapes.
  ///
  /// Both shapes are cut into the shortest runs of axes with equal products. A run of one axis on
  /// both sides corresponds index by index. Where one axis is split into several, or several are
  /// merged into one, an index of the outermost of them is a block of the single axis, and the
  /// inner ones are frozen. Runs of several axes on both sides are frozen.
  mutating func uniteRowMajor() {
    let (from, to) = (inputShapes[0], outputShapes[0])
    guard !from.contains(0), !to.contains(0) else { return freezeAll("it is empty") }
    var (i, j) = (0, 0)
    while i < from.count || j < to.count {
      let a = i < from.count ? from[i] : nil
      let b = j < to.count ? to[j] : nil
      if a == b {
        unite(.input(0, axis: i), .output(0, axis: j))
        (i, j) = (i + 1, j + 1)
      } else if a == 1 {
        freeze(.input(0, axis: i), "the axis has one index and is removed")
        i += 1
      } else if b == 1 {
        freeze(.output(0, axis: j), "the axis has one index and is inserted")
        j += 1
      } else {
        let (nextI, nextJ) = endOfRun(i, j)
        uniteRun(i..<nextI, j..<nextJ)
        (i, j) = (nextI, nextJ)
      }
    }
  }

  /// Where the shortest runs of axes with equal products that begin at `i` and `j` end.
  private func endOfRun(_ i: Int, _ j: Int) -> (Int, Int) {
    let (from, to) = (inputShapes[0], outputShapes[0])
    var (nextI, nextJ) = (i, j)
    var (a, b) = (1, 1)
    repeat {
      if a <= b, nextI < from.count {
        a *= from[nextI]
        nextI += 1
      } else {
        precondition(nextJ < to.count, "\(from) and \(to) differ in size")
        b *= to[nextJ]
        nextJ += 1
      }
    } while a != b
    return (nextI, nextJ)
  }

  private mutating func uniteRun(_ from: Range<Int>, _ to: Range<Int>) {
    let reason = "the axis is reshaped"
    func real(_ axes: [Axis]) -> [Axis] { axes.filter { size($0) > 1 } }
    let inputs = from.map { Axis.input(0, axis: $0) }
    let outputs = to.map { Axis.output(0, axis: $0) }
    let (realInputs, realOutputs) = (real(inputs), real(outputs))
    for axis in inputs + outputs where size(axis) == 1 { freeze(axis, reason) }
    if realInputs.count == 1 {
      uniteBlocks(of: realInputs[0], realOutputs)
    } else if realOutputs.count == 1 {
      uniteBlocks(of: realOutputs[0], realInputs)
    } else {
      for axis in realInputs + realOutputs { freeze(axis, reason) }
    }
  }

  /// `several` axes, merged, are `single`: an index of the first of them is a block of `single`.
  private mutating func uniteBlocks(of single: Axis, _ several: [Axis]) {
    guard several.count > 1 else { return unite(single, several[0]) }
    let block = size(single) / size(several[0])
    for index in 0..<size(single) { unite(several[0], index / block, single, index) }
    for axis in several.dropFirst() { freeze(axis, "the axis is an inner part of a reshaped axis") }
  }
}
