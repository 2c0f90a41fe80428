import NapTensor
import Testing

@Suite struct ChoiceTests {
  @Test(arguments: [
    ("tailor", "taylor"), ("prun", "prune"), ("comapre", "compare"), ("CIFAR10", "cifar10"),
    ("magnitud", "magnitude"), ("nap", "nap"), ("l2", "l1"),
  ]) func slipsAreUnderstood(_ typed: String, _ meant: String) {
    let names = ["prune", "compare", "nap", "taylor", "l1", "magnitude", "cifar10"]
    #expect(typed.nearest(of: names) == meant)
    #expect(noSuch("name", typed, of: names).recovery.hasPrefix("did you mean \(meant)? Or choose"))
  }

  @Test func whatIsFarIsNotGuessed() {
    for typed in ["", "x", "everything", "resnet"] {
      #expect(typed.nearest(of: ["nap", "taylor", "prune"]) == nil)
    }
  }
}
