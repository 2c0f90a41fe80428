import Foundation
package import NapTensor

/// An image of a data set as it is, or mirrored.
package struct ImageSide: Sendable, Hashable {
  package var index: Int
  package var isMirrored: Bool

  package init(index: Int, isMirrored: Bool) {
    self.index = index
    self.isMirrored = isMirrored
  }
}

/// A batch of examples as numbers; its memory is used again once it is released.
package final class Batch {
  /// Of which images; only the last batch of an epoch may have fewer than the batch size.
  package let sides: [ImageSide]
  package var count: Int { sides.count }
  /// Dense, `[count, …]` each, in the order of the data set's `inputs`; images `[count, C, H, W]`, or
  /// `[count, H, W, C]` where the preset says so.
  package let inputs: [UnsafePointer<Float>]
  /// Dense, `[count, …]` each, in the order of the data set's `targets`.
  package let targets: [UnsafePointer<Float>]
  fileprivate let memory: UnsafeMutablePointer<Float>
  private let release: (UnsafeMutablePointer<Float>) -> Void

  fileprivate init(_ filled: FilledBuffer, release: @escaping (UnsafeMutablePointer<Float>) -> Void)
  {
    sides = filled.sides
    memory = filled.memory
    (inputs, targets) = filled.layout.pointers(memory)
    self.release = release
  }

  deinit { release(memory) }
}

/// Where the arrays of a batch lie, one behind the other.
private struct BatchLayout: Sendable {
  private let inputs: [Int]
  private let targets: [Int]
  /// Numbers in all.
  let size: Int

  init(_ dataset: any Dataset, batchSize: Int) {
    var size = 0
    func place(_ field: Field) -> Int {
      defer { size += (batchSize * field.count + 15) / 16 * 16 }
      return size
    }
    inputs = dataset.inputs.map(place)
    targets = dataset.targets.map(place)
    self.size = size
  }

  func pointers(_ memory: UnsafeMutablePointer<Float>) -> (
    inputs: [UnsafePointer<Float>], targets: [UnsafePointer<Float>]
  ) {
    (inputs.map { UnsafePointer(memory + $0) }, targets.map { UnsafePointer(memory + $0) })
  }

  /// Where an example's arrays of the targets, and of the inputs behind the first, go.
  func fill(
    _ memory: UnsafeMutablePointer<Float>, slot: Int, from dataset: any Dataset, index: Int
  ) throws {
    for (k, field) in dataset.inputs.enumerated().dropFirst() {
      try dataset.copyInput(k, of: index, into: memory + inputs[k] + slot * field.count)
    }
    for (k, field) in dataset.targets.enumerated() {
      try dataset.copyTarget(k, of: index, into: memory + targets[k] + slot * field.count)
    }
  }
}

/// Prepares batches ahead of time on a thread of its own.
///
/// What a batch holds depends on the seed, the epoch and its number, never on timing.
package final class Loader {
  fileprivate let dataset: any Dataset
  fileprivate let preset: Preset
  fileprivate let batchSize: Int
  fileprivate let shuffle: Bool
  fileprivate let augment: Bool
  fileprivate let dropLast: Bool
  fileprivate let seed: Seed

  package init(
    dataset: any Dataset, preset: Preset, batchSize: Int, shuffle: Bool, augment: Bool,
    dropLast: Bool, seed: Seed
  ) {
    precondition(batchSize > 0)
    self.dataset = dataset
    self.preset = preset
    self.batchSize = batchSize
    self.shuffle = shuffle
    self.augment = augment
    self.dropLast = dropLast
    self.seed = seed
  }

  package var batchesPerEpoch: Int {
    dropLast ? dataset.count / batchSize : (dataset.count + batchSize - 1) / batchSize
  }

  /// Starts preparing the batches of an epoch.
  ///
  /// - Parameter first: the batch to begin with.
  package func epoch(_ number: Int, from first: Int = 0) -> LoaderEpoch {
    LoaderEpoch(self, number, first)
  }
}

/// The batches of one epoch, in order.
package final class LoaderEpoch {
  private let queue: BatchQueue

  fileprivate init(_ loader: Loader, _ epoch: Int, _ first: Int) {
    let layout = BatchLayout(loader.dataset, batchSize: loader.batchSize)
    queue = BatchQueue(ringSize: 4, elements: layout.size)
    var order = Array(0..<loader.dataset.count)
    if loader.shuffle {
      var generator = loader.seed.derived("shuffle").derived(epoch).generator()
      order.shuffle(using: &generator)
    }
    let filler = BatchFiller(
      dataset: loader.dataset, layout: layout, preset: loader.preset, augments: loader.augment,
      seed: loader.seed, epoch: epoch, order: order, batchSize: loader.batchSize,
      batches: first..<max(first, loader.batchesPerEpoch))
    let thread = Thread { [queue] in filler.fill(queue) }
    thread.stackSize = 1 << 20
    thread.start()
  }

  deinit { queue.cancel() }

  /// The next batch; `nil` at the end of the epoch.
  /// - Throws: `DataError` when an image cannot be read.
  package func next() throws -> Batch? { try queue.take() }
}

/// What the filling thread hands over.
private struct FilledBuffer {
  var sides: [ImageSide]
  var layout: BatchLayout
  var memory: UnsafeMutablePointer<Float>
}

/// Hands buffers to the filling thread and filled ones to the engine.
// All state is guarded by `condition`.
private final class BatchQueue: @unchecked Sendable {
  private let condition = NSCondition()
  private var free: [UnsafeMutablePointer<Float>]
  private let owned: [UnsafeMutablePointer<Float>]
  private var filled: [FilledBuffer] = []
  private var failure: (any Error)?
  private var isFinished = false
  private var isCancelled = false

  init(ringSize: Int, elements: Int) {
    owned = (0..<ringSize).map { _ in
      UnsafeMutableRawPointer.allocate(byteCount: max(64, elements * 4), alignment: 64)
        .bindMemory(to: Float.self, capacity: elements)
    }
    free = owned
  }

  deinit { for memory in owned { UnsafeMutableRawPointer(memory).deallocate() } }

  /// A buffer to fill; `nil` when nobody wants batches any more.
  func acquire() -> UnsafeMutablePointer<Float>? {
    condition.withLock {
      while free.isEmpty && !isCancelled { condition.wait() }
      return isCancelled ? nil : free.removeLast()
    }
  }

  func put(_ buffer: FilledBuffer) {
    condition.withLock {
      filled.append(buffer)
      condition.broadcast()
    }
  }

  func finish(_ error: (any Error)? = nil) {
    condition.withLock {
      failure = error
      isFinished = true
      condition.broadcast()
    }
  }

  func cancel() {
    condition.withLock {
      isCancelled = true
      condition.broadcast()
    }
  }

  func take() throws -> Batch? {
    let next = try condition.withLock { () throws -> FilledBuffer? in
      while filled.isEmpty && !isFinished { condition.wait() }
      if !filled.isEmpty { return filled.removeFirst() }
      if let failure { throw failure }
      return nil
    }
    guard let next else { return nil }
    // The batch keeps the queue, and so its memory, alive.
    return Batch(next) { memory in
      self.condition.withLock {
        self.free.append(memory)
        self.condition.broadcast()
      }
    }
  }
}

/// Turns examples into batches.
private struct BatchFiller: Sendable {
  let dataset: any Dataset
  let layout: BatchLayout
  let preset: Preset
  let augments: Bool
  let seed: Seed
  let epoch: Int
  let order: [Int]
  let batchSize: Int
  let batches: Range<Int>

  func fill(_ queue: BatchQueue) {
    let shape = dataset.imageShape
    let imageSize = shape.product
    // Numbers are taken as they are.
    let writing = BatchWriting(preset, shape: shape)
    let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: imageSize)
    defer { bytes.deallocate() }
    for batch in batches {
      guard let memory = queue.acquire() else { return }
      let indices = order[batch * batchSize..<min(order.count, (batch + 1) * batchSize)]
      var sides = indices.map { ImageSide(index: $0, isMirrored: false) }
      do {
        for (slot, index) in indices.enumerated() {
          try layout.fill(memory, slot: slot, from: dataset, index: index)
          if try dataset.copyNumbers(of: index, into: memory + slot * imageSize) { continue }
          let crop = augments ? preset.crop(seed: seed, epoch: epoch, index: index) : nil
          let isCropped =
            try crop.map { try dataset.copyPixels(of: index, cropped: $0, into: bytes) } ?? false
          if !isCropped { try dataset.copyPixels(of: index, into: bytes) }
          let variation =
            augments ? Variation(preset, seed: seed, epoch: epoch, index: index) : .none
          sides[slot].isMirrored = variation.isMirrored
          writing?.write(bytes, variation, to: memory + slot * imageSize)
        }
      } catch {
        return queue.finish(error)
      }
      queue.put(FilledBuffer(sides: sides, layout: layout, memory: memory))
    }
    queue.finish()
  }
}
