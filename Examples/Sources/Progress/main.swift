import Foundation
import NapKit

let source = try DataSource(path: "synthetic", preset: "synthetic")
guard let network = Network(architecture: "mlp", imageShape: [3, 32, 32], classes: 10) else {
  fatalError("there is no such architecture")
}
var training = Training(source: source)
training.epochs = 1

// The work runs on a thread of its own; what it tells comes as a sequence.
let work = training.start(network)
var lastStage = ""
for await event in work.progress where event.stage != lastStage {
  lastStage = event.stage
  print(event.stage, event.steps, "steps")
}
let (_, report) = try await work.value
print("trained:", report.accuracy ?? 0, "%")

// Cancelling stops at the next step.
let other = training.start(network)
for await event in other.progress where event.stage == "training" && event.step >= 3 {
  other.cancel()
}
do {
  _ = try await other.value
  print("it was done already")
} catch let stopped as WorkStopped {
  print("stopped by", type(of: stopped.reason), "with", stopped.lastGood.parameters, "parameters")
}

// Errors say what is wrong, and what helps.
do {
  _ = try DataSource(path: "synthetic", preset: "cifar")
} catch let error as any NapError {
  print(error.localizedDescription)
  print(error.recoverySuggestion ?? "")
}
