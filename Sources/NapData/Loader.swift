import Foundation
package import NapTensor

/// A batch of normalized images; its memory is used again once it is released.
package final class Batch {
  /// Images in the batch; only the last one of an epoch may have fewer than the batch size.
  package let count: Int
  package let labels: [Int]
  /// `[count, C, H, W]`, dense.
  package var pixels: UnsafePointer<Float> { UnsafePointer(memory) }
  fileprivate let memory: UnsafeMutablePointer<Float>
  private let release: (UnsafeMutablePointer<Float>) -> Void

  fileprivate init(
    count: Int, labels: [Int], memory: UnsafeMutablePointer<Float>,
    release: @escaping (UnsafeMutablePointer<Float>) -> Void
  ) {
    self.count = count
    self.labels = labels
    self.memory = memory
    self.release = release
  }

  deinit { release(memory) }
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
  package func epoch(_ number: Int) -> LoaderEpoch { LoaderEpoch(self, number) }
}

/// The batches of one epoch, in order.
package final class LoaderEpoch {
  private let queue: BatchQueue

  fileprivate init(_ loader: Loader, _ epoch: Int) {
    let imageSize = loader.dataset.imageShape.product
    queue = BatchQueue(ringSize: 4, elements: loader.batchSize * imageSize)
    var order = Array(0..<loader.dataset.count)
    if loader.shuffle {
      var generator = loader.seed.derived("shuffle").derived(epoch).generator()
      order.shuffle(using: &generator)
    }
    let filler = BatchFiller(
      dataset: loader.dataset, preset: loader.preset, augments: loader.augment, seed: loader.seed,
      epoch: epoch, order: order, batchSize: loader.batchSize, batches: loader.batchesPerEpoch)
    let thread = Thread { [queue] in filler.fill(queue) }
    thread.stackSize = 1 << 20
    thread.start()
  }

  deinit { queue.cancel() }

  /// The next batch; `nil` at the end of the epoch.
  /// - Throws: `DataError` when an image cannot be read.
  package func next() throws -> Batch? { try queue.take() }
}

/// Hands buffers to the filling thread and filled ones to the engine.
// All state is guarded by `condition`.
private final class BatchQueue: @unchecked Sendable {
  private let condition = NSCondition()
  private var free: [UnsafeMutablePointer<Float>]
  private let owned: [UnsafeMutablePointer<Float>]
  private var filled: [(count: Int, labels: [Int], memory: UnsafeMutablePointer<Float>)] = []
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

  func put(_ memory: UnsafeMutablePointer<Float>, count: Int, labels: [Int]) {
    condition.withLock {
      filled.append((count, labels, memory))
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
    let next = try condition.withLock {
      () throws -> (count: Int, labels: [Int], memory: UnsafeMutablePointer<Float>)? in
      while filled.isEmpty && !isFinished { condition.wait() }
      if !filled.isEmpty { return filled.removeFirst() }
      if let failure { throw failure }
      return nil
    }
    guard let next else { return nil }
    // The batch keeps the queue, and so its memory, alive.
    return Batch(count: next.count, labels: next.labels, memory: next.memory) { memory in
      self.condition.withLock {
        self.free.append(memory)
        self.condition.broadcast()
      }
    }
  }
}

/// Turns images into normalized batches.
private struct BatchFiller: Sendable {
  let dataset: any Dataset
  let preset: Preset
  let augments: Bool
  let seed: Seed
  let epoch: Int
  let order: [Int]
  let batchSize: Int
  let batches: Int

  func fill(_ queue: BatchQueue) {
    let shape = dataset.imageShape
    let imageSize = shape.product
    let tables = (0..<shape[0]).map(preset.table)
    let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: imageSize)
    defer { bytes.deallocate() }
    for batch in 0..<batches {
      guard let memory = queue.acquire() else { return }
      let indices = order[batch * batchSize..<min(order.count, (batch + 1) * batchSize)]
      do {
        for (slot, index) in indices.enumerated() {
          if dataset.copyNumbers(of: index, into: memory + slot * imageSize) { continue }
          try dataset.copyPixels(of: index, into: bytes)
          let variation =
            augments ? Variation(preset, seed: seed, epoch: epoch, index: index) : .none
          write(bytes, shape, tables, variation, to: memory + slot * imageSize)
        }
      } catch {
        return queue.finish(error)
      }
      queue.put(memory, count: indices.count, labels: indices.map(dataset.label))
    }
    queue.finish()
  }

  private func write(
    _ bytes: UnsafePointer<UInt8>, _ shape: [Int], _ tables: [[Float]], _ variation: Variation,
    to image: UnsafeMutablePointer<Float>
  ) {
    let (height, width) = (shape[1], shape[2])
    for c in 0..<shape[0] {
      tables[c].withUnsafeBufferPointer { table in
        let black = table[0]
        for y in 0..<height {
          let row = image + (c * height + y) * width
          let sourceY = y + variation.down
          guard (0..<height).contains(sourceY) else {
            row.update(repeating: black, count: width)
            continue
          }
          let source = bytes + (c * height + sourceY) * width
          for x in 0..<width {
            let sourceX = x + variation.right
            let value = sourceX >= 0 && sourceX < width ? table[Int(source[sourceX])] : black
            row[variation.isMirrored ? width - 1 - x : x] = value
          }
        }
      }
    }
  }
}
