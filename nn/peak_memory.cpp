#include "nn/peak_memory.hpp"

#include <algorithm>
#include <array>

#include "lucid/peak_scope.hpp"

namespace lucid::nn::detail {
namespace {

std::int64_t bytes_of(const Tensor& tensor) {
  return lucid::detail::allocated_bytes(static_cast<std::size_t>(tensor.nbytes()));
}

// Their rules give the result's gradient, or a view of it, where the shape is the input's.
bool hands_gradient_on(std::string_view op, const Tensor& input, const Tensor& result) {
  constexpr std::array<std::string_view, 4> kJoins{"cat", "stack", "pad", "sum"};
  if (std::find(kJoins.begin(), kJoins.end(), op) != kJoins.end()) return true;
  if ((op == "add" || op == "to" || op == "clone") && input.shape() == result.shape())
    return input.dtype() == result.dtype();
  return input.impl().storage == result.impl().storage && input.numel() == result.numel();
}

}  // namespace

StepMemory::StepMemory(const Tensors& held) : segment_peaks_(1, 0) {
  for (const Tensor& tensor : held)
    if (tensor.defined()) held_.emplace(tensor.impl().storage.get(), tensor.impl().storage);
}

bool StepMemory::is_held(const Tensor& tensor) const { return held_.contains(tensor.impl().storage.get()); }

// An address may come again; the weak pointer tells whether it is the same tensor.
StepMemory::Key StepMemory::key_of(const Tensor& tensor) {
  auto& [seen, key] = keys_[tensor.handle().get()];
  if (seen.lock() != tensor.handle()) seen = tensor.handle(), key = next_key_++;
  return key;
}

std::size_t StepMemory::block_of(const Tensor& tensor, std::size_t segment) {
  const std::shared_ptr<Storage>& storage = tensor.impl().storage;
  const auto [found, fresh] = block_index_.try_emplace({storage.get(), segment}, blocks_.size());
  if (!fresh && blocks_[found->second].storage.lock() == storage) return found->second;
  found->second = blocks_.size();
  blocks_.push_back(
      {storage, lucid::detail::allocated_bytes(static_cast<std::size_t>(storage->bytes())), segment});
  return found->second;
}

void StepMemory::begin_op(const void* checkpoint, std::int64_t current) {
  if (checkpoint != checkpoint_) {
    checkpoint_ = checkpoint;
    segment_ = checkpoint ? segment_peaks_.size() : 0;
    if (checkpoint) segment_peaks_.push_back(0);
    segment_start_ = current;
    made_in_segment_.clear();
  }
  gone_ = gone_bytes(0);
  gone_in_segment_ = segment_ ? gone_bytes(segment_) : 0;
}

void StepMemory::advance(std::int64_t peak) {
  forward_peak_ = std::max(forward_peak_, peak + gone_);
  std::int64_t& again = segment_peaks_[segment_];
  again = std::max(again, peak - segment_start_ + gone_in_segment_);
}

void StepMemory::record(std::string_view op, std::span<const Tensor> inputs, std::span<const Tensor> results,
                        std::span<const Tensor> saved) {
  Recorded out{.op = op, .inputs = {}, .results = {}, .blocks = {}, .segment = segment_};
  newly_kept_ = 0;
  const auto keep = [&](const Tensor& tensor, std::size_t segment) {
    if (!tensor.defined() || is_held(tensor)) return;
    const std::size_t at = block_of(tensor, segment);
    if (std::find(out.blocks.begin(), out.blocks.end(), at) != out.blocks.end()) return;
    out.blocks.push_back(at);
    if (blocks_[at].users++ == 0 && segment == 0) newly_kept_ += blocks_[at].bytes;
  };
  const auto made_here = [&](const Tensor& tensor) {
    const auto found = made_in_segment_.find(tensor.impl().storage.get());
    return found != made_in_segment_.end() && found->second.lock() == tensor.impl().storage;
  };
  // In a checkpoint all but what came in is made again, also what an op keeps of its own (indices, means).
  const auto came_in = [&](const Tensor& tensor) {
    return !made_here(tensor) && std::any_of(inputs.begin(), inputs.end(), [&](const Tensor& input) {
      return input.defined() && input.impl().storage == tensor.impl().storage;
    });
  };

  for (const Tensor& input : inputs) {
    Input& to = out.inputs.emplace_back();
    if (!input.defined()) continue;
    if (segment_ != 0 && !made_here(input)) keep(input, 0);  // a checkpoint keeps what comes into it
    if (!input.requires_grad()) continue;
    to = {key_of(input), bytes_of(input), input.is_leaf(), hands_gradient_on(op, input, results[0])};
  }
  for (const Tensor& result : results) {
    if (is_floating(result.dtype())) out.results.push_back({key_of(result), bytes_of(result)});
    if (segment_ != 0) made_in_segment_[result.impl().storage.get()] = result.impl().storage;
  }
  for (const Tensor& tensor : saved)
    if (tensor.defined()) keep(tensor, came_in(tensor) ? 0 : segment_);
  ops_.push_back(std::move(out));
}

std::int64_t StepMemory::gone_bytes(std::size_t segment) const {
  std::int64_t total = 0;
  for (const Block& block : blocks_)
    if (block.segment == segment && block.storage.expired()) total += block.bytes;
  return total;
}

std::int64_t StepMemory::kept_bytes() const {
  std::int64_t total = 0;
  for (const Block& block : blocks_)
    if (block.segment == 0) total += block.bytes;
  return total;
}

// The backward walk (autograd/backward.cpp) with sizes for tensors.
class BackwardWalk {
 public:
  BackwardWalk(StepMemory& step, std::int64_t live) : step_(step), live_(live), peak_(live) {}

  // The caller holds the gradient from which the walk begins.
  void seed(StepMemory::Key tensor, std::int64_t bytes) {
    seeds_.push_back(make(bytes));
    arrive(tensor, seeds_.back(), bytes, false);
  }

  std::int64_t run() {
    for (std::size_t k = step_.ops_.size(); k-- > 0;) {
      const StepMemory::Recorded& op = step_.ops_[k];
      if (op.segment != 0 && op.segment != segment_) enter(op.segment);
      back(op);
      release(op);
    }
    return peak_;
  }

 private:
  // A gradient's memory, and how many views of it there are.
  struct Gradient {
    std::int64_t bytes = 0;
    int views = 0;
  };
  using Handle = std::shared_ptr<Gradient>;
  struct Pending {
    Handle memory;
    bool is_part = false;  // a view that is not dense
  };

  Handle make(std::int64_t bytes) {
    add(bytes);
    return {new Gradient{bytes}, [this](Gradient* gradient) {
              live_ -= gradient->bytes;
              delete gradient;
            }};
  }
  void add(std::int64_t bytes) {
    live_ += bytes;
    peak_ = std::max(peak_, live_);
  }
  void briefly(std::int64_t bytes) { peak_ = std::max(peak_, live_ + bytes); }

  void arrive(StepMemory::Key tensor, Handle memory, std::int64_t bytes, bool is_part) {
    Pending& pending = pending_[tensor];
    if (!pending.memory) {
      pending = {std::move(memory), is_part};
    } else if (pending.memory.use_count() > 1 || pending.is_part) {
      pending = {make(bytes), false};
    }
  }

  // The second call of a checkpoint, of which stays what it saves.
  void enter(std::size_t segment) {
    segment_ = segment;
    briefly(step_.segment_peaks_[segment]);
    for (const StepMemory::Block& block : step_.blocks_)
      if (block.segment == segment) add(block.bytes);
  }

  void back(const StepMemory::Recorded& op) {
    Pending from;
    std::int64_t bytes = 0;
    for (const StepMemory::Result& result : op.results) {
      const auto found = pending_.find(result.tensor);
      if (found == pending_.end()) continue;
      from = std::move(found->second);
      bytes = result.bytes;
      pending_.erase(found);
    }
    if (!from.memory) return;
    // A convolution copies a gradient that is no channels-last block of its own.
    if (from.is_part && op.op.starts_with("conv")) briefly(bytes + op.inputs[0].bytes);
    std::vector<std::pair<const StepMemory::Input*, Handle>> made;
    for (const StepMemory::Input& input : op.inputs)
      if (input.tensor != 0) made.emplace_back(&input, input.aliases ? from.memory : make(input.bytes));
    const bool parts = made.size() > 1 || op.op == "pad";
    from.memory.reset();
    for (auto& [input, memory] : made) {
      const bool is_part = input->aliases && parts && op.op != "add";
      if (!input->is_leaf)
        arrive(input->tensor, std::move(memory), input->bytes, is_part);
      else if (!leaves_.contains(input->tensor))
        leaves_.emplace(input->tensor, std::move(memory));
    }
  }

  void release(const StepMemory::Recorded& op) {
    for (const std::size_t at : op.blocks)
      if (StepMemory::Block& block = step_.blocks_[at]; --block.users == 0) live_ -= block.bytes;
  }

  StepMemory& step_;
  std::int64_t live_, peak_;
  std::size_t segment_ = 0;
  std::vector<Handle> seeds_;
  std::unordered_map<StepMemory::Key, Pending> pending_;
  std::unordered_map<StepMemory::Key, Handle> leaves_;
};

std::int64_t StepMemory::peak(const Tensors& outputs, std::int64_t current) {
  std::vector<std::pair<Key, std::int64_t>> seeds;
  for (const Tensor& output : outputs)
    if (output.defined() && output.requires_grad()) seeds.emplace_back(key_of(output), bytes_of(output));
  BackwardWalk walk(*this, current + gone_bytes(0));
  for (const auto& [tensor, bytes] : seeds) walk.seed(tensor, bytes);
  return std::max(forward_peak_, walk.run());
}

}  // namespace lucid::nn::detail
