#pragma once
// Layers one after another, and the layers that only pass or reshape.

#include <concepts>
#include <memory>
#include <vector>

#include "nn/module.hpp"

namespace lucid::nn {

/// A module that turns one tensor into one.
template <class M>
concept Layer = std::derived_from<M, Module> && requires(const M& layer, const Tensor& x) {
  { layer(x) } -> std::convertible_to<Tensor>;
};

/// `nn::Sequential net(nn::Conv3d(1, 8, {.kernel_size = 3}), nn::ReLU());` The layers' names are "0", "1",
/// ... A value like every module: a copy has layers of its own that share parameters with the original's.
struct Sequential : Module {
  Sequential() = default;
  template <Layer First, Layer... Rest>
  requires(sizeof...(Rest) > 0 || !std::same_as<First, Sequential>) explicit Sequential(First first,
                                                                                        Rest... rest) {
    push_back(std::move(first));
    (push_back(std::move(rest)), ...);
  }

  template <Layer M>
  Sequential& push_back(M layer) {
    stages_.emplace_back(std::make_unique<StageOf<M>>(std::move(layer)));
    return *this;
  }

  Tensor operator()(const Tensor& input) const;
  std::size_t size() const { return stages_.size(); }
  /// Throws Error when there is no layer of that number.
  Module& operator[](std::size_t index);
  void visit_fields(FieldVisitor& visitor) override;

 private:
  struct Stage {
    virtual ~Stage() = default;
    virtual Module& module() = 0;
    virtual Tensor call(const Tensor& input) const = 0;
    virtual std::unique_ptr<Stage> copy() const = 0;
  };

  template <class M>
  struct StageOf final : Stage {
    explicit StageOf(M given) : layer(std::move(given)) {}
    Module& module() override { return layer; }
    Tensor call(const Tensor& input) const override { return layer(input); }
    std::unique_ptr<Stage> copy() const override {
      if constexpr (std::copy_constructible<M>)
        return std::make_unique<StageOf>(layer);
      else
        raise("Sequential", layer.type_name(), " can't be copied");
    }
    M layer;
  };

  // A stage that is copied with its owner.
  struct Slot {
    explicit Slot(std::unique_ptr<Stage> given) : stage(std::move(given)) {}
    Slot(const Slot& other) : stage(other.stage->copy()) {}
    Slot(Slot&&) = default;
    Slot& operator=(Slot other) {
      stage = std::move(other.stage);
      return *this;
    }
    std::unique_ptr<Stage> stage;
  };

  std::vector<Slot> stages_;
};

/// Gives back its input.
struct Identity : Module {
  Tensor operator()(const Tensor& input) const { return input; }
};

/// Merges the axes start_dim to end_dim (both included).
struct Flatten : Module {
  explicit Flatten(std::int64_t start = 1, std::int64_t end = -1) : start_dim(start), end_dim(end) {}
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  std::int64_t start_dim, end_dim;
};

/// Splits the axis `dim` into axes of the sizes `unflattened_size`, of which one may be -1. Throws Error when
/// there are no sizes or one is neither -1 nor positive.
struct Unflatten : Module {
  Unflatten(std::int64_t dim, const Shape& unflattened_size);
  Tensor operator()(const Tensor& input) const;
  std::string extra_repr() const override;
  std::int64_t dim;
  Shape unflattened_size;
};

}  // namespace lucid::nn
